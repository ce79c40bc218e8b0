package main

import (
	"path/filepath"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// budgetOf translates a configuration.
func budgetOf(cfg *config.Config) usage.Budget {
	return usage.Budget{MonthlyBytes: int64(cfg.Budget.MonthlyBytes), Reserve: int64(cfg.Budget.Reserve),
		MonthStarts: cfg.Budget.MonthStarts, Zone: time.Local}
}

// usageFile is where the account is kept.
func usageFile(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "usage") }

// newAccount joins the counters of the sessions with the ledger.
func newAccount(air *mqttconn.Air, ledger *usage.Ledger) *agent.Account {
	air.Published = ledger.Published
	return &agent.Account{Ledger: ledger, Counters: func() (up, down usage.Bytes) {
		c := air.Counts()
		return usage.Bytes{Payload: c.Payload.Up, Topic: c.Topic.Up, MQTT: c.MQTT.Up, TLS: c.TLS.Up, TCPIP: c.TCPIP.Up,
				Keepalive: c.Keepalive.Up, Connect: c.Connect.Up, Repeats: c.Repeats.Up},
			usage.Bytes{Payload: c.Payload.Down, Topic: c.Topic.Down, MQTT: c.MQTT.Down, TLS: c.TLS.Down, TCPIP: c.TCPIP.Down,
				Keepalive: c.Keepalive.Down, Connect: c.Connect.Down, Repeats: c.Repeats.Down}
	}}
}

// flown remembers which messages were sent without proof, over all sessions, so that sending them again counts as such.
type flown struct {
	mu    sync.Mutex
	again map[uint64]bool
	open  []*mqttconn.Receipt // of the session that stands
}

func newFlown() *flown { return &flown{again: make(map[uint64]bool)} }

func (f *flown) note(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.again[seq] = true
}

func (f *flown) before(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.again[seq]
}

// departed follows a message that has just been sent.
func (f *flown) departed(r *mqttconn.Receipt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, r)
	for len(f.open) > 0 && f.landed(f.open[0]) {
		f.open = f.open[1:]
	}
}

// landed reports whether the message needs not be followed any more. It is called with mu held.
func (f *flown) landed(r *mqttconn.Receipt) bool {
	select {
	case <-r.Done():
		if r.Err() == nil {
			delete(f.again, r.Seq())
			return true
		}
	default:
	}
	return false
}

// ended takes stock of a session that is over.
func (f *flown) ended() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.open {
		if !f.landed(r) {
			f.again[r.Seq()] = true
		}
	}
	f.open = nil
}
