package uplink

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/downlink"
	"github.com/fieldpost/fieldpost/agent/keep"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// wishes is what a session has beside delivery: a last will, and a subscription to commands. A broker that doesn't allow them
// must not keep readings from getting through.
type wishes struct {
	will     *mqttconn.Will     // nil: none
	commands *downlink.Downlink // nil: none are taken
	topic    string             // below which commands come
	clientID string
	path     string // of the file that remembers what the brokers' sessions hold; "": nothing is remembered
	log      zerolog.Logger

	mu          sync.Mutex
	willless    map[string]time.Time     // guarded by mu: until when a broker gets no will, for it has refused one
	subscribing map[string]agent.Caution // guarded by mu: by broker
}

// newWishes makes those of a configuration.
func newWishes(cfg *config.Config, commands *downlink.Downlink, log zerolog.Logger) *wishes {
	w := &wishes{commands: commands, topic: cfg.CommandTopic(), clientID: cfg.MQTTClientID(),
		path: filepath.Join(cfg.DataDir, "subscriptions"), log: log}
	if topic := cfg.PresenceTopic(); topic != "" {
		w.will = &mqttconn.Will{Topic: topic, Payload: []byte(agent.OfflinePayload), QoS: 1, Retain: true}
	}
	return w
}

// heldSubscriptions is what the sessions of a client id hold, by the broker's address.
type heldSubscriptions struct {
	ClientID string                             `json:"client_id"`
	Brokers  map[string][]mqttconn.Subscription `json:"brokers"`
}

// maxCommand is the largest packet of a command: the payload, and a topic that is not meant for us anyway if it is longer.
const maxCommand = downlink.MaxPayload + 512

// wantNoWill is how long a broker that has refused a will is not asked again.
const wantNoWill = 24 * time.Hour

// apply adds the wishes to what is asked of a broker.
func (w *wishes) apply(cfg *mqttconn.Config, broker string) {
	now := time.Now()
	w.mu.Lock()
	if now.After(w.willless[broker]) {
		cfg.Will = w.will
	}
	caution := w.subscribing[broker]
	w.mu.Unlock()

	cfg.Kept = w.held().Brokers[broker]
	cfg.Subscribed = func(held []mqttconn.Subscription, err error) { w.subscribed(broker, held, err) }
	if w.commands == nil {
		return
	}
	cfg.MaxInbound = maxCommand
	cfg.Oversize = w.commands.Oversize
	cfg.Handler = func(ctx context.Context, d mqttconn.Delivery) error {
		return w.commands.Handle(ctx, downlink.Message{Topic: d.Topic, Payload: d.Payload, Retained: d.Retained})
	}
	want := mqttconn.Subscription{Filter: w.topic + "/+", QoS: 1}
	if caution.Allows(now) || slices.Contains(cfg.Kept, want) {
		cfg.Subscriptions = []mqttconn.Subscription{want}
	}
}

// subscribed notes what the broker's session holds, and how it takes being asked.
func (w *wishes) subscribed(broker string, held []mqttconn.Subscription, err error) {
	cause := mqttconn.CauseOf(err)
	answered := err == nil || cause == mqttconn.CauseCredentials
	if answered {
		w.remember(broker, held)
	}
	w.mu.Lock()
	caution := w.subscribing[broker]
	gaveUp := false
	if answered || cause == mqttconn.CauseHungUp { // else it was the link, or we, who ended it
		gaveUp = caution.Ended(answered, time.Now())
	}
	if w.subscribing == nil {
		w.subscribing = make(map[string]agent.Caution)
	}
	w.subscribing[broker] = caution
	w.mu.Unlock()
	if gaveUp {
		err = errors.New("the broker ends the connection instead of answering the subscription: no commands for a day; allow the device to subscribe to " + w.topic + "/+")
	}
	if w.commands != nil && (answered || gaveUp) {
		w.commands.Subscribed(err)
	}
	if answered && err != nil || gaveUp {
		w.log.Warn().Err(err).Msg("commands can't be taken from this broker")
	}
}

func (w *wishes) held() heldSubscriptions {
	fresh := heldSubscriptions{ClientID: w.clientID, Brokers: make(map[string][]mqttconn.Subscription)}
	if w.path == "" {
		return fresh
	}
	h := fresh
	// What can't be read is as good as nothing: asking once more does no harm.
	if err := keep.Load(w.path, &h); err != nil || h.ClientID != w.clientID || h.Brokers == nil {
		return fresh
	}
	return h
}

func (w *wishes) remember(broker string, held []mqttconn.Subscription) {
	if w.path == "" {
		return
	}
	h := w.held()
	if slices.Equal(h.Brokers[broker], held) {
		return
	}
	h.Brokers[broker] = held
	if err := keep.Save(w.path, h); err != nil {
		w.log.Error().Err(err).Msg("what is subscribed to can't be written down: it will be asked for again")
	}
}

// connect makes a connection by means of try, once more without the will if the broker refuses it.
func (w *wishes) connect(cfg mqttconn.Config, broker string, try func(mqttconn.Config) (*mqttconn.Session, error)) (*mqttconn.Session, error) {
	w.apply(&cfg, broker)
	session, err := try(cfg)
	if err == nil || cfg.Will == nil || mqttconn.CauseOf(err) != mqttconn.CauseCredentials {
		return session, err
	}
	cfg.Will = nil
	session, second := try(cfg)
	if second != nil {
		return nil, err
	}
	w.mu.Lock()
	if w.willless == nil {
		w.willless = make(map[string]time.Time)
	}
	w.willless[broker] = time.Now().Add(wantNoWill)
	w.mu.Unlock()
	w.log.Warn().Str("broker", broker).Str("topic", w.will.Topic).
		Msg("the broker takes the device, but not its last will: connected without; allow the topic, or set presence.topic to off")
	return session, nil
}
