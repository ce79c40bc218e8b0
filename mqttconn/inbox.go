package mqttconn

import (
	"context"
	"errors"
	"fmt"
	"sync"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// inboxSize is how many messages of subscriptions may wait for the handler. Commands are few; a flood is refused.
const inboxSize = 64

// Delivery is one message of a subscription. It is acknowledged to the broker when the handler returns nil. After an error,
// or when more messages come than the handler takes, it is not, and a broker that keeps the session sends it again on
// the next connection. A message may also come twice without that, so handlers remember what they have done.
type Delivery struct {
	Topic     string
	Payload   []byte // the handler's own
	QoS       byte
	Retained  bool
	Duplicate bool // the broker says that it sends it again
}

// inbox holds the messages between Paho's router, which it never blocks, and the handler.
type inbox struct {
	messages chan mqtt.Message

	mu       sync.Mutex
	received uint64
	dropped  uint64
}

func newInbox() *inbox {
	return &inbox{messages: make(chan mqtt.Message, inboxSize)}
}

// put is Paho's handler for every message. Paho calls it in order (OrderMatters), from its router goroutine.
func (b *inbox) put(_ mqtt.Client, m mqtt.Message) {
	select {
	case b.messages <- m:
	default:
		b.count(false)
	}
}

func (b *inbox) count(taken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if taken {
		b.received++
	} else {
		b.dropped++
	}
}

// serve runs the handler until the context ends.
func (b *inbox) serve(ctx context.Context, handle func(context.Context, Delivery) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-b.messages:
			d := Delivery{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained(), Duplicate: m.Duplicate()}
			taken := handle != nil && handle(ctx, d) == nil
			b.count(taken)
			if taken {
				m.Ack()
			}
		}
	}
}

// Subscribe asks for the messages of one topic filter, which then go to [Config.Handler], and waits for the broker's answer.
// It returns the QoS that the broker grants. QoS 2 is not offered: handlers have to know repeats anyway.
func (s *Session) Subscribe(ctx context.Context, filter string, qos byte) (granted byte, err error) {
	fault := func(cause Cause, format string, args ...any) error {
		return &Error{Op: "subscribe", Cause: cause, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case qos > 1:
		return 0, fault(CauseConfig, "QoS %d is not offered, only 0 and 1", qos)
	case s.handler == nil:
		return 0, fault(CauseConfig, "there is no handler for messages")
	case len(filter) > maxString:
		return 0, fault(CauseConfig, "filter is longer than 65535 bytes")
	}
	token, ok := s.client.Subscribe(filter, qos, nil).(*mqtt.SubscribeToken)
	if !ok {
		return 0, fault(CauseProtocol, "the MQTT client gave no token")
	}
	select {
	case <-token.Done():
	case <-s.done:
		return 0, fault(CauseOf(s.err), "connection ended before the answer: %w", bare(s.err))
	case <-ctx.Done():
		return 0, newError("subscribe", ctx.Err())
	}
	if err := token.Error(); err != nil {
		select {
		case <-s.done:
			err = bare(s.err)
		default:
		}
		return 0, fault(CauseOf(err), "filter %.100q: %w", filter, err)
	}
	for _, code := range token.Result() { // one filter, one code
		if code > 1 {
			return 0, fault(CauseCredentials, "the broker refused the filter %.100q (SUBACK %#x)", filter, code)
		}
		return code, nil
	}
	return 0, fault(CauseProtocol, "%w", errors.New("the broker's answer carries no code"))
}
