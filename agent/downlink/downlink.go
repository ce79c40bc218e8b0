package downlink

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// Config joins the parts of a downlink. Store is required.
type Config struct {
	// Topic is the one below which commands come, Answer where answers go.
	Topic, Answer string
	// Store keeps answers and what is remembered; [agent.Agent] is one.
	Store Store
	// Actions are the commands that are carried out here, by name.
	Actions map[string]Action
	// Forward hands any other command to local software; nil: there are no others. It returns when the software has
	// acknowledged it.
	Forward func(ctx context.Context, name string, payload []byte) error
	// Clock tells the time and whether it was ever set; nil: it is always right.
	Clock    func() (now time.Time, set bool)
	Settings Settings
	Log      zerolog.Logger
}

// Settings is what can be changed while a Downlink runs.
type Settings struct {
	Allow    []string      // names of commands that are carried out; AllowForward stands for all that are not Actions
	MaxBytes int           // of a payload; 0, and anything larger, means MaxPayload
	Rate     int           // commands a minute; 0 means 12
	MaxAge   time.Duration // of a command that says when it was sent; 0 means 24 h
}

// AllowForward as an element of Settings.Allow allows all commands for local software.
const AllowForward = "forward"

func (s Settings) withDefaults() Settings {
	if s.MaxBytes <= 0 || s.MaxBytes > MaxPayload {
		s.MaxBytes = MaxPayload
	}
	if s.Rate == 0 {
		s.Rate = 12
	}
	if s.MaxAge == 0 {
		s.MaxAge = 24 * time.Hour
	}
	s.Allow = slices.Clone(s.Allow)
	return s
}

// Store keeps messages and, in the same transaction, a cursor.
type Store interface {
	AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (first uint64, err error)
	Cursor(name string) ([]byte, error)
}

// Action carries a command out. Its result is what the answer carries.
type Action struct {
	Run func(ctx context.Context, args json.RawMessage) (result any, err error)
	// Once says that it must not be carried out twice for one id, even if it is not known whether the first time was
	// completed. The others may be: they only look, or set what is set already.
	Once bool
}

// cursor is where the book is kept in the queue's file.
const cursor = "downlink"

// Downlink takes commands and answers them.
type Downlink struct {
	cfg    Config
	turn   chan struct{} // holds one while there is room for a command; taken by Handle, given back by Run
	work   chan struct{} // holds one when there is a command to carry out
	notice chan string   // holds one: a message that was too large to be taken
	known  chan struct{} // closed when the book has been read

	// Of whoever has the turn, and of Run before it gives the turn for the first time.
	book  book
	quota quota

	mu       sync.Mutex
	settings Settings           // guarded by mu
	status   agent.SourceStatus // guarded by mu
}

// New makes a downlink; it does nothing before Run.
func New(cfg Config) (*Downlink, error) {
	if cfg.Store == nil || cfg.Topic == "" || cfg.Answer == "" {
		return nil, errors.New("downlink: Store, Topic and Answer are required")
	}
	if cfg.Clock == nil {
		cfg.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	return &Downlink{
		cfg: cfg, settings: cfg.Settings.withDefaults(),
		turn: make(chan struct{}, 1), work: make(chan struct{}, 1), notice: make(chan string, 1), known: make(chan struct{}),
		status: agent.SourceStatus{Name: "downlink", Address: cfg.Topic},
	}, nil
}

// Configure puts other settings in force, for what comes from now on.
func (d *Downlink) Configure(s Settings) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settings = s.withDefaults()
}

func (d *Downlink) current() Settings {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings
}

// Status counts the commands that were carried out and those that were refused.
func (d *Downlink) Status() agent.SourceStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// Subscribed notes what became of the subscription; an error is shown in the status.
func (d *Downlink) Subscribed(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Error = text
}

// Message is what came on a topic below Config.Topic.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// Handle takes a message. It waits until the command before it has been answered, and returns nil when the message needs
// no further care: the command is on disk, or was refused, or had come before. An error leaves the message to the broker.
func (d *Downlink) Handle(ctx context.Context, m Message) error {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	name, ok := strings.CutPrefix(m.Topic, d.cfg.Topic+"/")
	if !ok || len(m.Payload) == 0 { // of a subscription that was given up; or what clears a retained message
		d.turn <- struct{}{}
		return nil
	}
	taken, err := d.take(ctx, name, m)
	if taken {
		d.work <- struct{}{}
		return nil
	}
	d.turn <- struct{}{}
	return err
}

// take decides about a message. The caller has the turn, and keeps it if there is no command to be carried out.
func (d *Downlink) take(ctx context.Context, name string, m Message) (taken bool, err error) {
	c, err := Parse(name, m.Payload)
	if c.ID != "" && d.book.knows(c.ID) {
		d.cfg.Log.Debug().Str("id", c.ID).Str("command", name).Msg("command came again, it has been answered")
		return false, nil
	}
	s := d.current()
	now := time.Now()
	allowed, first := d.quota.spend(now, s.Rate)
	switch {
	case !allowed && !first:
		d.count(m.Topic, false)
		return false, nil
	case !allowed:
		err = refuse(CodeTooMany, "more than %d commands in a minute (downlink.rate): this one and those that follow in the next minute are not carried out; send them again later, this one under a new id", s.Rate)
	case len(m.Payload) > s.MaxBytes:
		err = refuse(CodeTooLarge, "the payload has %d bytes; at most %d are taken (downlink.max_bytes)", len(m.Payload), s.MaxBytes)
	case err != nil:
		err = &Refusal{CodeInvalid, err}
	case m.Retained:
		err = refuse(CodeRetained, "a retained command would come again at each subscription; publish it without the retain flag, and clear this one")
	default:
		err = d.permit(&c, s)
	}
	if err != nil {
		return false, d.refused(ctx, &c, m.Topic, err)
	}
	next := book{ids: d.book.ids, pending: &entry{name: name, payload: m.Payload}}
	if err := d.save(ctx, next); err != nil {
		return false, err
	}
	d.cfg.Log.Info().Str("id", c.ID).Str("command", name).Msg("command taken")
	return true, nil
}

// permit says why a command is not to be carried out now.
func (d *Downlink) permit(c *Command, s Settings) error {
	action, own := d.cfg.Actions[c.Name]
	allowed := slices.Contains(s.Allow, c.Name) || !own && slices.Contains(s.Allow, AllowForward)
	now, set := d.cfg.Clock()
	switch {
	case !allowed:
		return refuse(CodeNotAllowed, "downlink.allow doesn't name %s", c.Name)
	case own && action.Run == nil, !own && d.cfg.Forward == nil:
		return refuse(CodeUnavailable, "nothing here carries out %s", c.Name)
	}
	if why := c.stale(now, set, s.MaxAge); why != "" {
		return refuse(CodeExpired, "%s", why)
	}
	return nil
}

// refused answers a command that is not carried out, and remembers it.
func (d *Downlink) refused(ctx context.Context, c *Command, topic string, why error) error {
	next := d.book
	if c.ID != "" {
		next = d.book.with(c.ID)
	}
	if err := d.save(ctx, next, d.message(answerTo(c.ID, c.Name, nil, why))); err != nil {
		return err
	}
	d.count(topic, false)
	d.cfg.Log.Warn().Err(why).Str("id", c.ID).Str("command", c.Name).Msg("command refused")
	return nil
}

// Oversize notes a message that was too large even to be handed over. It doesn't block.
func (d *Downlink) Oversize(topic string, size int) {
	d.count(topic, false)
	d.cfg.Log.Warn().Str("topic", topic).Int("bytes", size).Msg("command refused: it is too large")
	select {
	case d.notice <- topic:
	default:
	}
}

// save makes next the book, together with an answer.
func (d *Downlink) save(ctx context.Context, next book, answers ...queue.Message) error {
	if _, err := d.cfg.Store.AcceptAt(ctx, queue.Cursor{Name: cursor, Value: next.encode()}, answers...); err != nil {
		return err
	}
	d.book = next
	return nil
}

// message is an answer on its way up. It goes before readings: whoever asks an agent with a backlog wants to know now.
func (d *Downlink) message(answer []byte) queue.Message {
	return queue.Message{Lane: queue.Alarm, Topic: d.cfg.Answer, QoS: 1, Source: "downlink", Payload: answer}
}

func (d *Downlink) count(topic string, accepted bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !accepted {
		d.status.Refused++
		return
	}
	d.status.Accepted++
	d.status.LastAt, d.status.LastTopic = &now, topic
}

// quota is how many commands may still come. It belongs to whoever has the turn.
type quota struct {
	left float64
	at   time.Time // of the last change; zero: never
	told time.Time // when somebody was last told that there are too many
}

// spend takes one. When there is none left, first says whether that has not been said within the last minute.
func (q *quota) spend(now time.Time, rate int) (ok, first bool) {
	most := float64(rate)
	if q.at.IsZero() {
		q.left = most
	} else {
		q.left = min(most, q.left+most*now.Sub(q.at).Minutes())
	}
	q.at = now
	if q.left >= 1 {
		q.left--
		return true, false
	}
	if first = q.told.IsZero() || now.Sub(q.told) >= time.Minute; first {
		q.told = now
	}
	return false, first
}
