package uplink

import (
	"errors"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/keepalive"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// pulse gives each session its keepalive, and tells the learner what became of silences. A session that died after a
// silence counts against the network only if nothing was heard of trouble with the radio or the context meanwhile, and the
// next attempt comes through at once: then the network and the broker were there, and had only forgotten the connection.
type pulse struct {
	book  *keepalive.Book // nil: fixed
	fixed time.Duration
	most  time.Duration

	mu      sync.Mutex
	network string        // of the session that stands, or stood last
	trouble bool          // the module has lost something below the session since it began
	suspect time.Duration // the silence after which the last session died; 0: there is none, or it had another reason
	place   string        // the network in which it died
	word    bool          // it ended with a word
}

// newPulse follows the configuration; the file is for what is learned. Its error says that this is learned anew.
func newPulse(cfg *config.Config, file string) (*pulse, error) {
	if fixed := time.Duration(cfg.Broker.Keepalive); fixed > 0 {
		return &pulse{fixed: fixed}, nil
	}
	limits := keepalive.Limits{Least: time.Duration(cfg.Broker.KeepaliveMin), Most: time.Duration(cfg.Broker.KeepaliveMax)}
	if cfg.Broker.Endpoints()[0].TLS {
		limits.Ping, limits.Reconnect = keepalive.DefaultPingTLS, keepalive.DefaultReconnectTLS
	}
	book, err := keepalive.Open(file, limits)
	return &pulse{book: book, most: limits.Most}, err
}

// apply sets the keepalive of an attempt through a network.
func (p *pulse) apply(cfg *mqttconn.Config, network string) {
	if p.book == nil {
		cfg.KeepAlive = p.fixed
		return
	}
	p.mu.Lock()
	p.network, p.trouble = network, false
	p.mu.Unlock()
	cfg.KeepAlive = p.most // what the broker is promised; pings come as often as the network needs them
	cfg.PingAfter = func() time.Duration { return p.book.Interval(network) }
	cfg.Heard = func(silence time.Duration) { p.book.Survived(network, silence) }
}

// troubled notes that the way below the session was lost, so that its end says nothing about patience.
func (p *pulse) troubled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = true
}

// ended looks at a session that has ended.
func (p *pulse) ended(s *mqttconn.Session) {
	err := s.Err()
	if p.book == nil || err == nil {
		return
	}
	silence, unanswered := s.Silence()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspect, p.place, p.word = 0, p.network, false
	if p.trouble {
		return
	}
	switch {
	case unanswered && silently(err):
		p.suspect = silence
	case closedByPeer(err):
		p.suspect, p.word = silence, true
	}
}

// attempted notes how the attempt after the end went.
func (p *pulse) attempted(err error) {
	if p.book == nil {
		return
	}
	p.mu.Lock()
	network, silence, word := p.place, p.suspect, p.word
	p.suspect = 0
	p.mu.Unlock()
	switch {
	case err != nil || silence == 0:
	case word:
		p.book.Closed(network, silence)
	default:
		p.book.Forgotten(network, silence)
	}
}

// silently reports whether a session died because nothing came back.
func silently(err error) bool {
	if gsmnet.CauseOf(err) == gsmnet.CauseLink {
		return true
	}
	switch mqttconn.CauseOf(err) {
	case mqttconn.CauseSilent, mqttconn.CauseUnanswered, mqttconn.CauseTimeout:
		return true
	}
	return false
}

// closedByPeer reports whether it was ended from the far side, by the broker or by a gateway in its name.
func closedByPeer(err error) bool {
	var modem *gsmnet.Error
	if errors.As(err, &modem) {
		return modem.Cause == gsmnet.CauseClosed
	}
	return mqttconn.CauseOf(err) == mqttconn.CauseNetwork
}

// status is what the status shows.
func (p *pulse) status() *agent.KeepaliveStatus {
	if p.book == nil {
		return &agent.KeepaliveStatus{IntervalSeconds: int(p.fixed / time.Second)}
	}
	p.mu.Lock()
	network := p.network
	p.mu.Unlock()
	s := p.book.State(network)
	st := &agent.KeepaliveStatus{Learned: true, Network: network, IntervalSeconds: s.Interval, Lost: uint64(s.Lost)}
	if s.Proven > 0 {
		st.ProvenSeconds = &s.Proven
	}
	if s.TooLong > 0 {
		st.TooLongSeconds = &s.TooLong
	}
	return st
}

// save keeps what was learned.
func (p *pulse) save() error {
	if p.book == nil {
		return nil
	}
	return p.book.Save()
}
