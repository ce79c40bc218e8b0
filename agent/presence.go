package agent

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// Presence is the retained message by which a device shows whether it is there. It doesn't pass the queue: what was true at
// an earlier connection is of no use at this one.
type Presence struct {
	Topic string
	Boot  string // names the boot of the machine, so that a power cut can be told from a restart of the agent
}

// What a device says of itself. The broker says offline in its place when it has gone without a word; see OfflinePayload.
const (
	presenceOnline  = "online"
	presenceStopped = "stopped" // it was told to stop
	presenceMoved   = "moved"   // it goes on with another broker
)

// OfflinePayload is the last will.
const OfflinePayload = `{"state":"offline"}`

// presenceState is what is published. Its bytes are paid for at each connection, so it says little.
type presenceState struct {
	State   string          `json:"state"`
	Version string          `json:"version,omitempty"`
	Boot    string          `json:"boot,omitempty"`
	Waiting *uint64         `json:"waiting,omitempty"` // messages in the queue
	Outage  *presenceOutage `json:"outage,omitempty"`  // that has just ended
}

type presenceOutage struct {
	Cause   Cause `json:"cause"`
	Seconds int64 `json:"s"`
}

// presence publishes the state of the device.
type presence struct {
	cfg Presence

	mu      sync.Mutex
	caution Caution        // guarded by mu
	status  PresenceStatus // guarded by mu
}

func newPresence(cfg Presence) *presence {
	return &presence{cfg: cfg, status: PresenceStatus{Topic: cfg.Topic}}
}

func (p *presence) snapshot() *PresenceStatus {
	if p.cfg.Topic == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	return &s
}

// announce says online on a new session; the receipt is nil if that is left out. After a session that the broker has ended
// instead of answering, each thing that may be the reason waits for the answer to the one before.
func (a *Agent) announce(ctx context.Context, s Session) Receipt {
	if a.wary {
		await(ctx, s.Settled())
	}
	p := a.presence
	p.mu.Lock()
	allowed := p.cfg.Topic != "" && p.caution.Allows(time.Now())
	p.mu.Unlock()
	if !allowed {
		return nil
	}
	waiting := QueueStatusOf(a.cfg.Queue).Messages
	state := presenceState{State: presenceOnline, Version: a.cfg.Version, Boot: p.cfg.Boot, Waiting: &waiting}
	if o := a.board.healed(); o != nil {
		state.Outage = &presenceOutage{o.Cause, int64(o.Until.Sub(o.From).Round(time.Second).Seconds())}
		if o.Cause == CauseNone {
			state.Outage.Cause = "start"
		}
	}
	receipt := a.publishPresence(ctx, s, state)
	if a.wary && receipt != nil {
		await(ctx, receipt.Done())
	}
	return receipt
}

// await waits for an answer, but not for one that never comes.
func await(ctx context.Context, answer <-chan struct{}) {
	select {
	case <-answer:
	case <-ctx.Done():
	case <-time.After(30 * time.Second): // a round trip over GPRS takes up to ten
	}
}

// accuse finds what a session has ended over. The broker reads in order, so it is the first that has no answer: what was resumed,
// what it was asked (which the link counts by itself), presence, the other readings.
func (a *Agent) accuse(c *courier, presence Receipt, broke error) {
	asked, told := isClosed(c.session.Settled()), true
	if presence != nil {
		<-presence.Done() // at the latest with the session
		told = presence.Err() == nil
	}
	var le *LinkError
	hungUp := errors.As(broke, &le) && le.HungUp
	resumed := c.resumed[c.trip.head()] || c.trip.orphan() != 0
	if asked && told {
		a.wary = false
	} else if hungUp {
		a.wary = true
	}
	if presence != nil && (told || hungUp && asked && !resumed) {
		a.settlePresence(told)
	}
	if broke != nil && (resumed || asked && told) && !a.clings(c.trip, broke) {
		a.blame(c, broke)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// settlePresence notes whether the broker has put up with the message.
func (a *Agent) settlePresence(answered bool) {
	p := a.presence
	p.mu.Lock()
	gaveUp := p.caution.Ended(answered, time.Now())
	p.status.Error = ""
	if gaveUp {
		p.status.Error = "left out for a day: the broker ends the connection over it; allow the device to publish there, or set presence.topic to off"
	}
	p.mu.Unlock()
	if gaveUp {
		a.cfg.Log.Warn().Str("topic", p.cfg.Topic).Msg("presence is left out for a day: each of the last connections ended instead of the broker's answer to it. " +
			"Allow the device to publish there, or set presence.topic to off")
	}
}

// lastWord says why the device parts from a broker that it could stay with, and adds the proof of that to what is waited for.
// One that connects again at once says nothing.
func (a *Agent) lastWord(ctx context.Context, s Session, parting error, collected chan struct{}) chan struct{} {
	state := ""
	switch {
	case ctx.Err() != nil:
		state = presenceStopped
	case parting == errReturning:
		state = presenceMoved
	}
	p := a.presence
	p.mu.Lock()
	allowed := p.cfg.Topic != "" && p.caution.Allows(time.Now())
	p.mu.Unlock()
	if state == "" || !allowed || s.Err() != nil {
		return collected
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	receipt := a.publishPresence(ctx, s, presenceState{State: state, Boot: p.cfg.Boot})
	if receipt == nil {
		return collected
	}
	both := make(chan struct{})
	go func() { // ends with the session at the latest
		<-collected
		<-receipt.Done()
		close(both)
	}()
	return both
}

// leaveTime is how long the last word may wait for room among what is in flight.
const leaveTime = time.Second

// publishPresence hands a state over; nil if that failed, which ends the session anyway or doesn't matter.
func (a *Agent) publishPresence(ctx context.Context, s Session, state presenceState) Receipt {
	p := a.presence
	text, err := json.Marshal(state)
	if err != nil {
		a.cfg.Log.Error().Err(err).Msg("presence can't be written")
		return nil
	}
	r, err := s.Publish(ctx, Parcel{Message: queue.Message{Topic: p.cfg.Topic, QoS: 1, Retain: true, Payload: text}})
	if err != nil {
		a.cfg.Log.Debug().Err(err).Msg("presence was not published")
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.State = state.State
	p.status.Published++
	p.status.Bytes += uint64(2 + 2 + len(p.cfg.Topic) + 2 + len(text)) // fixed header, topic, packet id, payload (MQTT 3.1.1, 3.3)
	return r
}
