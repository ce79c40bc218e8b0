package agent

import (
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/agent/usage"
)

// StatusSchema is the version of the JSON form of Status; it rises when a key changes its meaning.
const StatusSchema = 1

// Status is what the agent knows about itself at one moment. Its JSON form is a contract: keys are snake_case, units are
// in the names, and null stands for what is not known.
type Status struct {
	Schema    int             `json:"schema"`
	Version   string          `json:"version"`
	Device    string          `json:"device"`
	Running   bool            `json:"running"`
	Verdict   Verdict         `json:"verdict"`
	Reason    string          `json:"reason"` // one plain sentence
	Time      time.Time       `json:"time"`
	StartedAt *time.Time      `json:"started_at"`
	Link      LinkStatus      `json:"link"`
	Queue     QueueStatus     `json:"queue"`
	Delivery  DeliveryStatus  `json:"delivery"`
	Encoding  EncodingStatus  `json:"encoding"`
	Usage     *UsageStatus    `json:"usage"` // null while no agent runs
	Sources   []SourceStatus  `json:"sources"`
	Presence  *PresenceStatus `json:"presence"` // null if it is off
	Outages   []Outage        `json:"outages"`  // newest first
}

// Verdict is the one word that comes first.
type Verdict string

const (
	VerdictOK         Verdict = "ok"         // a session stands and messages flow, or there are none to send
	VerdictConnecting Verdict = "connecting" // no session yet, or not again; messages wait in the queue
	VerdictBlocked    Verdict = "blocked"    // someone has to act: SIM, PIN, credentials, certificate, storage
	VerdictStopped    Verdict = "stopped"    // the agent doesn't run
)

// LinkStatus tells where the way to the broker stands.
type LinkStatus struct {
	Kind        string           `json:"kind"` // "modem" or "system"
	Connected   bool             `json:"connected"`
	Since       time.Time        `json:"since"`    // of Connected
	Broker      string           `json:"broker"`   // URL without credentials
	Release     string           `json:"release"`  // what proof of its arrival a reading waits for: "proof", "qisack" or "broker"
	RetryAt     *time.Time       `json:"retry_at"` // of the next attempt, while waiting for it
	Steps       []StepStatus     `json:"steps"`    // in the order in which they come up
	Modem       *ModemStatus     `json:"modem"`    // null on link: system, and before the module has answered
	Keepalive   *KeepaliveStatus `json:"keepalive"`
	Certificate string           `json:"certificate"` // that the own one expires soon, or has; empty: there is none, or time enough
	Sessions    uint64           `json:"sessions"`    // MQTT sessions since the start of the agent
	BytesUp     uint64           `json:"stream_bytes_up"`
	BytesDown   uint64           `json:"stream_bytes_down"`
}

// KeepaliveStatus is how long the connection may be silent before a ping.
type KeepaliveStatus struct {
	IntervalSeconds int    `json:"interval_seconds"`
	Learned         bool   `json:"learned"`          // false: the configuration's
	Network         string `json:"network"`          // of which the following was learned; empty before the first attempt
	ProvenSeconds   *int   `json:"proven_seconds"`   // the longest silence that it has borne; null: none yet
	TooLongSeconds  *int   `json:"too_long_seconds"` // one after which the connection was forgotten; null: none yet
	Lost            uint64 `json:"lost"`             // connections that it has forgotten, in all
}

// ModemStatus is what the module says of itself and of the network.
type ModemStatus struct {
	Model        string `json:"model"`
	Operator     string `json:"operator"`
	SignalDBm    *int   `json:"signal_dbm"`
	Registration string `json:"registration"`
	IP           string `json:"ip"`
	Alarm        string `json:"alarm"` // what somebody has to look at although the link goes on; empty: nothing
}

// StepState is how far one step of the link has come.
type StepState string

const (
	StepIdle    StepState = "idle"    // its turn has not come
	StepWaiting StepState = "waiting" // under way
	StepOK      StepState = "ok"
	StepFailed  StepState = "failed"
)

// StepStatus is one link of the chain from the power to the broker.
type StepStatus struct {
	Step  Step      `json:"step"`
	State StepState `json:"state"`
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

// QueueStatus is the state of the queue in messages and bytes.
type QueueStatus struct {
	Messages  uint64            `json:"messages"`
	Bytes     uint64            `json:"bytes"`
	MaxBytes  uint64            `json:"max_bytes"`
	FileBytes uint64            `json:"file_bytes"`
	OldestAt  *time.Time        `json:"oldest_at"`
	Lanes     map[string]uint64 `json:"lanes"`    // messages by lane
	Dropped   map[string]uint64 `json:"dropped"`  // messages by reason, over the life of the file
	Error     string            `json:"error"`    // why the storage has failed, empty while it works
	Refusing  string            `json:"refusing"` // why the disk takes no readings at present and what to do; empty while it does
	Recovery  *RecoveryStatus   `json:"recovery"` // null unless the file was found damaged when it was opened
}

// RecoveryStatus is what became of a damaged queue file.
type RecoveryStatus struct {
	Damage   string `json:"damage"`      // what was found
	SetAside string `json:"set_aside"`   // where the damaged file is
	Saved    uint64 `json:"saved"`       // messages that are in the new file
	Lost     uint64 `json:"lost"`        // messages that were seen and could not be read, or are missing in their sequence
	Unsure   uint64 `json:"lost_unsure"` // of Lost: only missing in their sequence, and perhaps delivered before
	More     bool   `json:"lost_more"`   // an unknown number beside them
}

// LostWords says how many were lost as far as that is known.
func (r *RecoveryStatus) LostWords() string {
	sure := r.Lost - r.Unsure
	switch {
	case r.More && sure == 0:
		return "an unknown number lost"
	case r.More:
		return fmt.Sprintf("at least %d lost", sure)
	case r.Unsure == 0:
		return fmt.Sprintf("%d lost", r.Lost)
	case sure == 0:
		return fmt.Sprintf("at most %d lost", r.Lost)
	}
	return fmt.Sprintf("at least %d and at most %d lost", sure, r.Lost)
}

// DeliveryStatus counts messages since the start of the agent.
type DeliveryStatus struct {
	Accepted        uint64     `json:"accepted"`
	Refused         uint64     `json:"refused"` // by sources and commands; a message that is tried again until it is taken isn't
	Delivered       uint64     `json:"delivered"`
	Repeated        uint64     `json:"repeated"`      // sent once more because the proof of the first time was missing
	SessionsLost    uint64     `json:"sessions_lost"` // connections to a broker that had no session with what was on its way
	InFlight        uint64     `json:"in_flight"`
	LastDeliveredAt *time.Time `json:"last_delivered_at"`

	PassedOver []SuspectStatus `json:"passed_over"` // messages that others pass, longest first, 16 at most
	SetAside   *SuspectStatus  `json:"set_aside"`   // the last one that was given up since the start; null: none
}

// SuspectStatus is a message at which the broker ends the connection, or which it never answers.
type SuspectStatus struct {
	Seq      uint64    `json:"seq"`
	ID       string    `json:"id"`
	Topic    string    `json:"topic"`
	Attempts uint32    `json:"attempts"` // sessions that it has ended
	Since    time.Time `json:"since"`    // of its being passed, as far as this start knows, or set aside
}

// EncodingStatus tells what the encoding has made of the messages since the start of the agent. Repeats count again.
type EncodingStatus struct {
	Format     Format `json:"format"`
	Dictionary string `json:"dictionary"` // id of the one to compress with; empty: no compression
	Published  uint64 `json:"published"`  // MQTT messages
	Messages   uint64 `json:"messages"`   // messages of the queue in them
	BytesIn    uint64 `json:"bytes_in"`   // of topics and payloads as they came in
	BytesOut   uint64 `json:"bytes_out"`  // of topics and payloads as they were published
}

// UsageStatus is what went over the air, as IP packets, and what the budget says to it.
type UsageStatus struct {
	MonthBytes    int64       `json:"month_bytes"`    // both directions
	ForecastBytes *int64      `json:"forecast_bytes"` // of the whole month; null while too little is known
	BudgetBytes   *int64      `json:"budget_bytes"`   // null: no budget
	ReserveBytes  *int64      `json:"reserve_bytes"`  // of them, for alarms alone
	MonthEnds     *time.Time  `json:"month_ends"`     // null while the time is not known
	Held          usage.Hold  `json:"held"`           // "normal": all but alarms waits; "all": everything; "": nothing
	Today         *usage.Span `json:"today"`          // null while the time is not known
	Month         *usage.Span `json:"month"`
}

// PresenceStatus is what became of the device's presence.
type PresenceStatus struct {
	Topic     string `json:"topic"`
	State     string `json:"state"`     // published last; empty: nothing yet
	Published uint64 `json:"published"` // since the start of the agent
	Bytes     uint64 `json:"bytes"`     // of those messages on the connection, above TLS
	Error     string `json:"error"`     // why it is left out
}

// SourceStatus is what one source has taken in.
type SourceStatus struct {
	Name      string     `json:"name"`
	Address   string     `json:"address"`
	Accepted  uint64     `json:"accepted"`
	Refused   uint64     `json:"refused"` // what is tried again meanwhile isn't
	Slowed    uint64     `json:"slowed"`  // came faster than limits allow one client: held up, or to be sent again
	LastAt    *time.Time `json:"last_at"`
	LastTopic string     `json:"last_topic"`
	LastValue string     `json:"-"` // beginning of that message, for the status page; no reading is told elsewhere
	Error     string     `json:"error"`
}

// Outage is a stretch of time without a session. Until is nil while it lasts.
type Outage struct {
	From  time.Time  `json:"from"`
	Until *time.Time `json:"until"`
	Cause Cause      `json:"cause"`
	Why   string     `json:"why"`
}
