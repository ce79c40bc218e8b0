package uplink

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/keep"
	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// sessionBook remembers which broker holds a session of this queue file, and where the queue's flights are on their way.
// A packet id means something to the broker that it was used with, and to no other; and an id that a broker still holds
// and nobody here remembers would make it swallow a QoS 2 message as a repeat. Then its session is discarded, once.
type sessionBook struct {
	path    string // "": nothing is remembered
	queue   *queue.Queue
	cluster []string // addresses of one broker; nil: each address is a broker of its own
	log     zerolog.Logger
}

// sessionPage is the book of one queue file and client id.
type sessionPage struct {
	Queue    string `json:"queue"` // epoch
	ClientID string `json:"client_id"`
	// Flights is the address of the broker that the queue's flights were sent to; "": there are none.
	Flights string `json:"flights"`
	// Stale has an entry for each broker that was used: true if it may hold packet ids that were forgotten here.
	Stale map[string]bool `json:"stale"`
}

// open reads the page of this queue file; a new queue file, or another client id, begins a new one, and so does a damaged
// file: the broker's session is then looked at anew. A file that can't be read now is not taken for one that isn't there.
func (b sessionBook) open(clientID string) (sessionPage, error) {
	epoch := b.queue.Epoch()
	fresh := sessionPage{Queue: hex.EncodeToString(epoch[:]), ClientID: clientID}
	page := fresh
	err := keep.Load(b.path, &page)
	if err != nil && !errors.Is(err, keep.ErrDamaged) {
		return page, fmt.Errorf("which broker holds the session can't be read: %w", err)
	}
	if err != nil || page.Queue != fresh.Queue || page.ClientID != clientID {
		page = fresh
	}
	page.Flights = b.broker(page.Flights)
	stale := make(map[string]bool)
	for address, is := range page.Stale {
		stale[b.broker(address)] = stale[b.broker(address)] || is
	}
	page.Stale = stale
	return page, nil
}

// broker is the address under which the book knows the broker at address: all nodes of a cluster hold the same session, and
// discarding it at one because of another would have what is in flight published twice.
func (b sessionBook) broker(address string) string {
	if slices.Contains(b.cluster, address) {
		return b.cluster[0]
	}
	return address
}

// connect opens a session with the broker: with the flights of cfg.Resume if they are on their way there, else without any
// flight, so that what was on its way elsewhere is published anew.
func (b sessionBook) connect(ctx context.Context, dial mqttconn.DialFunc, cfg mqttconn.Config, broker string) (*mqttconn.Session, error) {
	if b.path == "" {
		return mqttconn.Connect(ctx, dial, cfg)
	}
	page, err := b.open(cfg.ClientID)
	if err != nil {
		return nil, err
	}
	if page.Flights == broker {
		return mqttconn.Connect(ctx, dial, cfg)
	}
	cfg.Resume = nil
	if err := b.leave(ctx, &page); err != nil {
		return nil, err
	}
	stale, known := page.Stale[broker]
	if stale && cfg.Handler == nil {
		if err := discardSession(ctx, dial, cfg); err != nil {
			return nil, err
		}
	}
	session, err := mqttconn.Connect(ctx, dial, cfg)
	if err == nil && session.SessionPresent() && (stale || !known) { // stale, or of a queue file that is gone
		var waited uint64
		if cfg.Handler != nil {
			waited = empty(ctx, session)
		}
		if err = errors.Join(session.Close(ctx), discardSession(ctx, dial, cfg)); err == nil {
			b.log.Warn().Str("broker", broker).Uint64("taken", waited).Msg("the broker's session has packet ids that are not known here, and was discarded " +
				"after what waited in it was taken; a command that came in that moment has to be sent again")
			session, err = mqttconn.Connect(ctx, dial, cfg)
		}
	}
	if err != nil {
		return nil, err
	}
	page.Stale[broker], page.Flights = false, broker
	if err := b.save(page); err != nil {
		return nil, errors.Join(err, session.Close(ctx))
	}
	return session, nil
}

// leave forgets the flights to another broker. That broker's being stale is on disk before they are gone, and they are gone
// before those to the next broker begin: a crash in between resumes nothing at the wrong one.
func (b sessionBook) leave(ctx context.Context, page *sessionPage) error {
	flights, err := b.queue.Flights()
	if err != nil {
		return err
	}
	open := slices.ContainsFunc(flights, func(f queue.Flight) bool { return f.Exact }) // whose packet ids the broker holds until PUBREL
	if page.Flights != "" {
		page.Stale[page.Flights] = page.Stale[page.Flights] || open
		page.Flights = ""
		if err := b.save(*page); err != nil {
			return err
		}
	}
	return b.queue.ClearFlights(ctx)
}

// spoil has the broker's session discarded at the next connection.
func (b sessionBook) spoil(ctx context.Context, clientID, broker string) error {
	page, err := b.open(clientID)
	if err != nil {
		return err
	}
	if err := b.leave(ctx, &page); err != nil {
		return err
	}
	page.Stale[broker] = true
	return b.save(page)
}

// renew spoils the broker's session if that is where the queue's flights are; elsewhere they mean nothing.
func (b sessionBook) renew(ctx context.Context, clientID, broker string) error {
	page, err := b.open(clientID)
	if err != nil || page.Flights != broker {
		return err
	}
	return b.spoil(ctx, clientID, broker)
}

func (b sessionBook) save(page sessionPage) error {
	if err := keep.Save(b.path, page); err != nil {
		return fmt.Errorf("which broker holds the session can't be written down: %w", err)
	}
	return nil
}

// empty takes the commands that wait in a session which is about to be discarded, and tells how many.
func empty(ctx context.Context, s *mqttconn.Session) (taken uint64) {
	last, since := s.Stats().BytesDown, time.Now()
	tick := time.NewTicker(quietDown / 10)
	defer tick.Stop()
	for begun := since; time.Since(since) < quietDown && time.Since(begun) < longestEmptying; {
		select {
		case <-tick.C:
		case <-s.Done():
			return s.Stats().Received
		case <-ctx.Done():
			return s.Stats().Received
		}
		if now := s.Stats().BytesDown; now != last {
			last, since = now, time.Now()
		}
	}
	return s.Stats().Received
}

const (
	// quietDown without a byte is the end of what waits: longer than a round trip over GPRS.
	quietDown = 3 * time.Second
	// longestEmptying bounds what others' messages can hold up.
	longestEmptying = time.Minute
)

// discardSession makes the broker forget the session that it may hold.
func discardSession(ctx context.Context, dial mqttconn.DialFunc, cfg mqttconn.Config) error {
	cfg.Clean, cfg.Will, cfg.Resume = true, nil, nil
	session, err := mqttconn.Connect(ctx, dial, cfg)
	if err != nil {
		return err
	}
	return session.Close(ctx)
}
