package mqttconn

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Config describes a session. The zero value of a field means what its comment says.
type Config struct {
	// ClientID names the session at the broker; required.
	ClientID string
	// Username and Password; empty: none. A password needs a user name (section 3.1.2.9).
	Username, Password string
	// Will is published by the broker when the connection ends without [Session.Close]; nil: none.
	Will *Will
	// TLS wraps the connection; nil: plain. It needs ServerName (or InsecureSkipVerify). An empty CurvePreferences means
	// X25519, P-256 and P-384: then the first message carries the small X25519 key share alone, where Go's default adds
	// 1.2 KB of a post-quantum share. ClientSessionCache, Time and certificates are the caller's.
	TLS *tls.Config
	// Clean discards the session that the broker may hold and keeps none afterwards. It is for once: after the journal was
	// lost, connect with Clean and close, so that the broker holds no packet ids that nobody remembers.
	Clean bool

	// KeepAlive is what CONNECT promises the broker, which hangs up after 1.5 times as long without a packet, and the longest
	// silence before a ping; 30 s to 1 h in whole seconds. 0: 540 s, since mobile networks forget a connection that was
	// silent for 10 minutes.
	KeepAlive time.Duration
	// PingAfter is asked how long it may be silent before a ping, and may give less than KeepAlive; nil: KeepAlive. It is asked
	// whenever a silence has ended or an earlier answer has run out, from the session's goroutines, and must not block.
	PingAfter func() time.Duration
	// Heard is called when the far end has answered after a silence of 20 s or more, with its length; see also
	// [Session.Silence]. It must not block. nil: nobody asks.
	Heard func(silence time.Duration)
	// PingTimeout is how long a ping may stay unanswered; 0: 120 s, more than the worst round trip behind a full window.
	PingTimeout time.Duration
	// ConnectTimeout covers dial, TLS handshake and CONNACK together; 0: 300 s, for attaching to GPRS takes a minute
	// or two, a dial up to 150 s, and a handshake at the worst rate half a minute.
	ConnectTimeout time.Duration
	// WriteTimeout is how long one write may be stuck; 0: 120 s.
	WriteTimeout time.Duration
	// AnswerTimeout is how long a message may stay without proof after it was written; then the session ends, so that the
	// message is tried again. 0: 5 min.
	AnswerTimeout time.Duration
	// AckedWait bounds the wait for the acknowledged count once the broker has answered; 0: 60 s, a dozen of the
	// guide's 5 s polls.
	AckedWait time.Duration

	// WindowMessages and WindowBytes bound what is on its way and not answered; Publish blocks at either. A message larger
	// than the window travels alone. 0: 96 messages and 13140 bytes. That is the 7300 bytes that a module's socket buffers,
	// and two full sends behind them and on the way back of the answers: with less, the simulated module's uplink of
	// 3000 B/s stood idle at QoS 1 (17.9 messages/s of 137 bytes with 7300, 19.6 with this, 20 at QoS 0). It is also
	// all that a broken connection can make us send twice.
	WindowMessages, WindowBytes int
	// FirstWindow is how many bytes the window has at first; it doubles with each round trip in which all of it arrives, since after
	// an outage of the broker a whole fleet begins with a backlog. 0: 1460, one send of a module.
	FirstWindow int
	// MaxInbound is the largest packet accepted from the broker; 0: 64 KiB. A larger message is read past without being kept,
	// acknowledged so that it doesn't come again, counted in [Stats.Oversize] and told to Oversize.
	MaxInbound int

	// Air counts what goes over the air, beyond this session; nil: nobody counts.
	Air *Air

	// Release says what ends a receipt; the zero value wants both proofs.
	Release Release
	// Journal remembers packet ids; nil: QoS 2 is exactly once only within one connection.
	Journal Journal
	// Resume lists the flights of earlier connections, in the order in which they are to be sent. They are resumed if the
	// broker kept the session; see [Session.Resumed].
	Resume []Resume
	// Handler gets the messages of subscriptions, one at a time and in order; see [Delivery]. nil: they are thrown away.
	Handler func(ctx context.Context, d Delivery) error
	// Oversize is told the topic and the size of each message over MaxInbound; nil: nobody is. It must not block.
	Oversize func(topic string, size int)

	// Subscriptions are asked for once the session stands, beside what is published meanwhile. They need a Handler.
	Subscriptions []Subscription
	// Kept is what a session that the broker kept is known to hold, by the last call of Subscribed: that is not asked for
	// again, and ended if it is not among Subscriptions any more.
	Kept []Subscription
	// Subscribed is called once, when the broker has answered for all of them, with what its session holds now and with
	// the refusals; not if a kept session needed no change. It is the caller's to remember for the next connection's
	// Kept. It must not call Close. nil: nobody is told.
	Subscribed func(held []Subscription, refused error)
}

// Will is the last will (section 3.1.2.5).
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

const (
	defaultKeepAlive      = 540 * time.Second
	defaultPingTimeout    = 120 * time.Second
	defaultConnectTimeout = 300 * time.Second
	defaultWriteTimeout   = 120 * time.Second
	defaultAnswerTimeout  = 5 * time.Minute
	defaultAckedWait      = 60 * time.Second
	defaultWindowMessages = 96
	defaultWindowBytes    = 9 * 1460
	defaultFirstWindow    = 1460
	defaultMaxInbound     = 64 << 10

	minKeepAlive = 30 * time.Second
	maxKeepAlive = time.Hour
)

// withDefaults returns a copy with every zero field given its meaning.
func (c Config) withDefaults() Config {
	setDuration := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	setInt := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	setDuration(&c.KeepAlive, defaultKeepAlive)
	if c.Air == nil {
		c.Air = new(Air)
	}
	setDuration(&c.PingTimeout, defaultPingTimeout)
	if c.PingAfter == nil {
		fixed := c.KeepAlive
		c.PingAfter = func() time.Duration { return fixed }
	}
	setDuration(&c.ConnectTimeout, defaultConnectTimeout)
	setDuration(&c.WriteTimeout, defaultWriteTimeout)
	setDuration(&c.AnswerTimeout, defaultAnswerTimeout)
	setDuration(&c.AckedWait, defaultAckedWait)
	setInt(&c.WindowMessages, defaultWindowMessages)
	setInt(&c.WindowBytes, defaultWindowBytes)
	setInt(&c.FirstWindow, defaultFirstWindow)
	setInt(&c.MaxInbound, defaultMaxInbound)
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		if len(c.TLS.CurvePreferences) == 0 {
			c.TLS.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
		}
	}
	c.Resume, c.Subscriptions, c.Kept = slices.Clone(c.Resume), slices.Clone(c.Subscriptions), slices.Clone(c.Kept)
	return c
}

// Validate names the first field that breaks its rule.
func (c Config) Validate() error {
	c = c.withDefaults()
	fault := func(field, rule string) error {
		return &Error{Op: "config", Cause: CauseConfig, Err: fmt.Errorf("%s %s", field, rule)}
	}
	switch {
	case c.ClientID == "":
		return fault("ClientID", "is empty: the broker cannot keep a session without a name")
	case len(c.ClientID) > maxString || !utf8.ValidString(c.ClientID) || strings.ContainsRune(c.ClientID, 0):
		return fault("ClientID", "must be UTF-8 without NUL and at most 65535 bytes")
	case c.Username == "" && c.Password != "":
		return fault("Password", "needs a Username")
	case len(c.Username) > maxString || len(c.Password) > maxString:
		return fault("Username and Password", "must have at most 65535 bytes")
	case c.KeepAlive < minKeepAlive || c.KeepAlive > maxKeepAlive:
		return fault("KeepAlive", fmt.Sprintf("is %v, must be from %v to %v", c.KeepAlive, minKeepAlive, maxKeepAlive))
	case c.KeepAlive%time.Second != 0:
		return fault("KeepAlive", "must be in whole seconds")
	case c.PingTimeout < 0 || c.ConnectTimeout < 0 || c.WriteTimeout < 0 || c.AnswerTimeout < 0 || c.AckedWait < 0:
		return fault("a timeout", "is negative")
	case c.WindowMessages < 0 || c.WindowBytes < 0 || c.FirstWindow < 0 || c.MaxInbound < 0:
		return fault("a limit", "is negative")
	case len(c.Subscriptions) > 0 && c.Handler == nil:
		return fault("Subscriptions", "need a Handler")
	case slices.ContainsFunc(c.Subscriptions, func(s Subscription) bool { return s.QoS > 1 || s.Filter == "" || len(s.Filter) > maxString }):
		return fault("Subscriptions", "must have a filter of 1 to 65535 bytes and QoS 0 or 1")
	case int(c.Release) >= len(releaseNames):
		return fault("Release", "is unknown")
	case c.TLS != nil && c.TLS.ServerName == "" && !c.TLS.InsecureSkipVerify:
		return fault("TLS.ServerName", "is empty: nothing to check the certificate against")
	}
	if w := c.Will; w != nil {
		if why := topicFault(w.Topic); why != "" {
			return fault("Will.Topic", why)
		}
		if w.QoS > 2 || len(w.Payload) > maxString {
			return fault("Will", "must have a QoS up to 2 and a payload up to 65535 bytes")
		}
	}
	return nil
}
