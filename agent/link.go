package agent

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// Step names a link of the chain from the power to the broker.
type Step string

// The steps in the order in which they come up. On the machine's own network the chain begins at StepTCP.
const (
	StepPort         Step = "port"
	StepPower        Step = "power"
	StepSIM          Step = "sim"
	StepRegistration Step = "registration"
	StepAttach       Step = "attach"
	StepIP           Step = "ip"
	StepTCP          Step = "tcp"
	StepTLS          Step = "tls"
	StepMQTT         Step = "mqtt"
)

// Cause is what kept the link from standing, in one word that a person understands.
type Cause string

const (
	CauseNone        Cause = ""
	CausePort        Cause = "port"
	CausePower       Cause = "power"
	CauseSIM         Cause = "sim"
	CausePIN         Cause = "pin"
	CauseSearching   Cause = "searching"
	CauseDenied      Cause = "denied"
	CauseAttach      Cause = "attach"
	CauseAPN         Cause = "apn"
	CauseContext     Cause = "context" // the network let go of the module
	CauseDNS         Cause = "dns"
	CauseTCP         Cause = "tcp"
	CauseTLS         Cause = "tls"
	CauseMQTT        Cause = "mqtt"
	CauseCredentials Cause = "credentials"
	CauseLost        Cause = "lost" // a standing session broke
	CauseUnknown     Cause = "unknown"
)

// NeedsPerson reports whether waiting alone can't cure the cause.
func (c Cause) NeedsPerson() bool {
	switch c {
	case CausePIN, CauseDenied, CauseCredentials, CauseTLS, CauseSIM:
		return true
	}
	return false
}

// ofNetwork reports whether a network that is back is a reason to try again at once. It cures neither what a broker refuses nor what
// it fails in, and a PIN must not be tried more often.
func (c Cause) ofNetwork() bool {
	switch c {
	case CausePort, CausePower, CauseSIM, CauseSearching, CauseDenied, CauseAttach, CauseAPN, CauseContext, CauseDNS, CauseTCP, CauseLost:
		return true
	}
	return false
}

// endsWithNetwork reports whether the wait after err ends when the network is back.
func endsWithNetwork(err error) bool {
	var le *LinkError
	if errors.As(err, &le) && (le.HungUp || le.Unanswered != 0) {
		return false // the broker's doing
	}
	return CauseOf(err).ofNetwork()
}

// LinkError is a failure of the link with the one cause that a person understands. Links return it (wrapped or not);
// any other error counts as CauseUnknown.
type LinkError struct {
	Cause Cause
	Err   error
	Why   string // what a person reads in the status; "": the text of Err
	// Others says that another broker is tried next: there is no reason to wait until a person has mended this one.
	Others bool
	// HungUp says that the broker ended a session, Unanswered which message it has and doesn't answer for; 0: none. Either can be
	// the work of a message that it can't bear.
	HungUp     bool
	Unanswered uint64
}

func (e *LinkError) Error() string { return e.Err.Error() }
func (e *LinkError) Unwrap() error { return e.Err }

// CauseOf finds the cause of err: CauseNone for nil, CauseUnknown for an error that carries none.
func CauseOf(err error) Cause {
	if err == nil {
		return CauseNone
	}
	var le *LinkError
	if errors.As(err, &le) {
		return le.Cause
	}
	return CauseUnknown
}

// whyOf is the text of err for a person.
func whyOf(err error) string {
	var le *LinkError
	if errors.As(err, &le) && le.Why != "" {
		return le.Why
	}
	return err.Error()
}

// Report tells the supervisor where a step stands. It may be called from any goroutine, and also while a session stands
// (coverage lost under a connection that lives on); it doesn't block.
type Report func(step Step, state StepState, why string)

// Link is the way to the broker: the module, or the machine's own network, with MQTT on top of it.
type Link interface {
	// Steps lists the chain of this link, in order.
	Steps() []Step
	// Connect blocks until an MQTT session stands, ctx ends or the attempt fails. resume lists the messages that were on
	// their way when the last session ended, in the order of the queue.
	Connect(ctx context.Context, resume []Resume, report Report) (Session, error)
	// Broker is the URL, without credentials, of the broker that the session is with or that was tried last.
	Broker() string
	// Release says what proof of its arrival a reading waits for: "proof", "qisack" or "broker".
	Release() string
	// Status returns what is known of the module; nil where there is none.
	Status() *ModemStatus
	// Close ends what Connect left standing below a session. What doesn't let go before ctx ends is left to the system.
	Close(ctx context.Context) error
}

// Resume is a parcel that was published but not proved, made anew. Of one that the broker has received, or whose messages are gone
// meanwhile, only the flight is left: its packet id is to be released.
type Resume struct {
	Flight  queue.Flight
	Message queue.Message
	// Gone says that its messages have left the queue, dropped or purged: nothing but the packet id is left.
	Gone bool
	// Held says that its packet id stays taken and nothing is sent until a parcel is published under its sequence.
	Held bool
	// Anew says that the broker has to forget its session first: its messages have to be published otherwise, at QoS 2, or the broker
	// doesn't let go of its packet id.
	Anew bool
}

// Session is a standing MQTT session.
type Session interface {
	// Publish hands a parcel over; it blocks while the window is full. Parcels go out in the order of the calls. The error wraps
	// ErrUndeliverable for one that will never be accepted.
	Publish(ctx context.Context, p Parcel) (Receipt, error)
	// Resumed returns the receipts of the parcels that the broker's session still knows and that are on their way again.
	Resumed() []Receipt
	// Settled is closed when the broker has answered what it was asked beside delivery, such as a subscription; at once if there is
	// nothing. A session that ends before never closes it.
	Settled() <-chan struct{}
	// Done is closed when the session has ended; Err then says why.
	Done() <-chan struct{}
	Err() error
	// Until is when to part from this broker, once nothing is in flight, since a preferred one may be back; zero: never.
	Until() time.Time
	// Bytes returns what went over the stream below TLS.
	Bytes() (up, down uint64)
	// Close says goodbye to the broker and waits until everything has stopped, no longer than ctx.
	Close(ctx context.Context) error
}

// Receipt follows one parcel, by the sequence of its first message. Done is closed when its fate is known; Err is nil only if it has provably arrived.
type Receipt interface {
	Seq() uint64
	Done() <-chan struct{}
	Err() error
}
