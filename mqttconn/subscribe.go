package mqttconn

import (
	"context"
	"errors"
	"fmt"
	"slices"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Subscription is one topic filter and the QoS that is asked for, 0 or 1. QoS 2 is not offered: handlers have to know
// repeats anyway.
type Subscription struct {
	Filter string
	QoS    byte
}

// Settled is closed when the broker has answered for the subscriptions of the configuration, with yes or no; at once if it wasn't
// asked. A session that ends before never closes it.
func (s *Session) Settled() <-chan struct{} { return s.settled }

// settle brings the session's subscriptions to those of the configuration, tells Subscribed what the broker holds then,
// and ends. What a kept session has already is not asked for again, for that costs a round trip and its bytes each time.
func (s *Session) settle(ctx context.Context, cfg Config) {
	select {
	case <-s.standing:
	case <-ctx.Done():
		return
	}
	if cfg.Clean || len(cfg.Subscriptions)+len(cfg.Kept) == 0 {
		close(s.settled)
		return
	}
	var held []Subscription
	if s.present {
		held = slices.Clone(cfg.Kept)
	}
	var faults []error
	asked := false
	for _, old := range slices.Clone(held) {
		if slices.Contains(cfg.Subscriptions, old) {
			continue
		}
		asked = true
		if err := s.unsubscribe(ctx, old.Filter); err != nil {
			faults = append(faults, err)
			continue
		}
		held = slices.DeleteFunc(held, func(k Subscription) bool { return k == old })
	}
	for _, want := range cfg.Subscriptions {
		if slices.Contains(held, want) {
			continue
		}
		asked = true
		if _, err := s.Subscribe(ctx, want.Filter, want.QoS); err != nil {
			faults = append(faults, err)
			continue
		}
		held = append(held, want)
	}
	cut := slices.ContainsFunc(faults, func(err error) bool { return CauseOf(err) != CauseCredentials })
	if cut && s.ledger.resuming() {
		return // the broker has ended the session before it came to the subscriptions
	}
	if cfg.Subscribed != nil && (asked || !s.present) {
		cfg.Subscribed(held, errors.Join(faults...))
	}
	if !cut {
		close(s.settled)
	}
}

// Subscribe asks for the messages of one topic filter, which then go to [Config.Handler], and waits for the broker's answer.
// It returns the QoS that the broker grants. The broker's refusal is an error of [CauseCredentials]; the session goes on.
func (s *Session) Subscribe(ctx context.Context, filter string, qos byte) (granted byte, err error) {
	switch {
	case qos > 1:
		return 0, subscribeFault(CauseConfig, "QoS %d is not offered, only 0 and 1", qos)
	case s.handler == nil:
		return 0, subscribeFault(CauseConfig, "there is no handler for messages")
	case len(filter) > maxString:
		return 0, subscribeFault(CauseConfig, "filter is longer than 65535 bytes")
	}
	token, ok := s.client.Subscribe(filter, qos, nil).(*mqtt.SubscribeToken)
	if !ok {
		return 0, subscribeFault(CauseProtocol, "the MQTT client gave no token")
	}
	if err := s.answered(ctx, token, filter); err != nil {
		return 0, err
	}
	for _, code := range token.Result() { // one filter, one code
		if code > 1 {
			return 0, subscribeFault(CauseCredentials, "the broker refused the filter %.100q (SUBACK %#x)", filter, code)
		}
		return code, nil
	}
	return 0, subscribeFault(CauseProtocol, "%w", errors.New("the broker's answer carries no code"))
}

// unsubscribe ends a subscription that the kept session holds.
func (s *Session) unsubscribe(ctx context.Context, filter string) error {
	return s.answered(ctx, s.client.Unsubscribe(filter), filter)
}

// answered waits for the broker's answer to SUBSCRIBE or UNSUBSCRIBE.
func (s *Session) answered(ctx context.Context, token mqtt.Token, filter string) error {
	select {
	case <-token.Done():
	case <-s.done:
		return subscribeFault(CauseOf(s.err), "connection ended before the answer: %w", bare(s.err))
	case <-ctx.Done():
		return newError("subscribe", ctx.Err())
	}
	if err := token.Error(); err != nil {
		select {
		case <-s.done:
			err = bare(s.err)
		default:
		}
		return subscribeFault(CauseOf(err), "filter %.100q: %w", filter, err)
	}
	return nil
}

func subscribeFault(cause Cause, format string, args ...any) error {
	return &Error{Op: "subscribe", Cause: cause, Err: fmt.Errorf(format, args...)}
}
