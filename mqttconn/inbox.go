package mqttconn

import (
	"context"
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
			if handle == nil { // left over from a subscription that nobody wants any more: kept back, it would come at each connection
				b.count(false)
				m.Ack()
				continue
			}
			taken := handle(ctx, d) == nil
			b.count(taken)
			if taken {
				m.Ack()
			}
		}
	}
}
