package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Config says how to use the module. The zero value of each field has the meaning given with it.
type Config struct {
	APN      string // access point name; "": the one that the SIM's operator gives by itself (G2.6)
	User     string // "": none
	Password string // "": none
	PIN      string // of the SIM, four to eight digits; "": none, a locked SIM is an error
	HomeOnly bool   // a foreign network is refused as CauseRoaming; false: it is as good as the home one (G2.3)

	// Mode is how data is sent. 0: Command.
	Mode Mode
	// Receive is how the module hands over received data in command mode. 0: Buffered.
	Receive Receive
	// FreeSend sends data without 0x08, 0x1A and 0x1B in the form that Ctrl-Z ends (G4.1, G4.2), for a module whose form by length
	// doesn't work. false: always by length (G4.3).
	FreeSend bool

	// Baud is the speed that the port was opened with. It is fixed in the module and saved there (G2.1). 0: left as it is.
	Baud int

	// Restart restarts the module from outside: EMERG_OFF and PWRKEY, a relay. It is called when the module doesn't answer, or does
	// not take AT+CFUN=1,1, and never more often than G9.4 allows. PWRKEY is a toggle: it must not be pressed on a module that
	// runs. It may block; the connection is down then. nil: a module that doesn't answer is waited for.
	Restart func(context.Context) error

	// StateFile keeps what must survive a restart of the program: which PIN was tried, and when the module was restarted. "":
	// known for this process only.
	StateFile string

	// OnState is told every change of State, in order. It must not block and must not call the Modem. nil: nobody is told.
	OnState func(State)
	// Trace gets what goes over the serial line, out and in, from two goroutines. PIN and password are in it. nil: nothing.
	Trace func(out bool, p []byte)

	// How long to wait. The guide's values are the defaults.
	SyncTries       int           // how often AT is sent to find the module's speed; 0: 15 (G9.1)
	SyncEvery       time.Duration // how long each waits for its answer; 0: 500 ms (G9.1)
	CommandTimeout  time.Duration // ordinary command; 0: 10 s, then questions that any module answers, for HangTimeout
	HangTimeout     time.Duration // until a module that answers none of those counts as hung, and has to be restarted; 0: 60 s (G9.2)
	SIMTimeout      time.Duration // for the SIM to become ready; 0: 20 s
	RegisterTimeout time.Duration // for registration; 0: 3 min
	AttachTimeout   time.Duration // for AT+CGATT; 0: 180 s (G9.3)
	ActivateTimeout time.Duration // for AT+QIACT; 0: 180 s (G9.3)
	OpenTimeout     time.Duration // for CONNECT OK; 0: 110 s (below 2 minutes, G3.6)
	CloseTimeout    time.Duration // for AT+QICLOSE; 0: 90 s (G9.3)
	DeactTimeout    time.Duration // for AT+QIDEACT; 0: 60 s (G7.3), at most 90 s (G9.3)
	PromptTimeout   time.Duration // for the prompt of AT+QISEND; 0: 20 s, four times the longest seen
	SendTimeout     time.Duration // for SEND OK; 0: 30 s

	// Spacing is how long the second, third, … restart in a row waits after the one before it; the last value holds for all that
	// follow, and the first restart comes at once. nil: 10 min, 30 min, 1 h (G9.4).
	Spacing []time.Duration
	// RadioSpacing is how long a network has to be searched for in vain until the radio is switched off and on (AT+CFUN=0, 1), and how
	// long each further time waits after the one before it; the last value holds for all that follow. nil: 10 min, 30 min, 1 h.
	RadioSpacing []time.Duration

	// DataWait and DataSize say when the module sends in transparent mode (G2.13): when nothing has come for so long, 0: 200 ms,
	// negative: at once; and as soon as so many bytes are there, 0: 512.
	DataWait time.Duration
	DataSize int
	// EscapeGuard is the silence before and after "+++" (G8.2). 0: 1.1 s, a little over the second that modules want.
	EscapeGuard time.Duration
	// TrustClosed takes the text CLOSED or +PDP DEACT among received data in transparent mode for the module's own without asking:
	// the peer can't send such text (G8.5). false: the question of G8.3 is asked.
	TrustClosed bool

	// TimeServer is host:port of the SNTP server that Time asks when the network has told no time. "": none.
	TimeServer string

	// Linger is how long Close goes on sending what was written, and waits for it to be acknowledged. 0: 10 s.
	Linger time.Duration
	// SafetyPoll is how often an idle connection is asked for data and state although the module announced nothing. 0: 30 s. In
	// transparent mode, where that interrupts the data for more than two seconds, ten times as long.
	SafetyPoll time.Duration

	// Window is how many bytes may be unacknowledged. 0: 7300, the module's own buffer (G4.7).
	Window int
	// StartWindow is how many may be before the link has proved itself by acknowledging. 0: 3000 (G4.7).
	StartWindow int
	// Literal makes the driver do what the guide says and no more: StartWindow is never exceeded by more than one send, and
	// acknowledgement is asked for each PollMax. It is several times slower, and there to compare with.
	Literal bool
	// PollMax is the longest time between two questions for acknowledgement. 0: 5 s (G4.8).
	PollMax time.Duration
	// StallTimeout is how long the count of unacknowledged bytes may not fall while it is 3000 or more. 0: 100 s (G4.9).
	StallTimeout time.Duration
	// TailTimeout is the same while it is less. 0: 120 s (G6.4).
	TailTimeout time.Duration
}

// Mode is how data goes to the module.
type Mode uint8

const (
	// Command sends with AT+QISEND, so that the module can be asked what was acknowledged while data flows.
	Command Mode = iota
	// Transparent makes the port carry the peer's bytes (chapter 8). Each question to the module, and so each acknowledged count, costs
	// leaving data mode, more than two seconds without data. What the module says on its own in data mode is data for all that can be
	// known, but for what ends it: reports of registration, start-up and messages are switched off, and State shows none of them.
	Transparent
)

// Receive is how received data comes from the module in command mode.
type Receive uint8

const (
	// Buffered leaves it in the module until AT+QIRD fetches it, which holds the peer back when nobody reads (G2.8).
	Buffered Receive = iota
	// Pushed has it sent over the serial line as it comes, with a header that counts it (G2.9 to G2.11). Nothing holds the peer
	// back: a connection whose data nobody reads ends at 1 MiB. A lost byte shows only by what follows the block.
	Pushed
)

// guideThreshold is from where on the guide calls a connection that acknowledges nothing broken after 100 s (G4.8, G4.9).
const guideThreshold = 3000

func (c Config) withDefaults() Config {
	set := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.SyncEvery, 500*time.Millisecond)
	set(&c.CommandTimeout, 10*time.Second)
	set(&c.HangTimeout, 60*time.Second)
	set(&c.SIMTimeout, 20*time.Second)
	set(&c.RegisterTimeout, 3*time.Minute)
	set(&c.AttachTimeout, 180*time.Second)
	set(&c.ActivateTimeout, 180*time.Second)
	set(&c.OpenTimeout, 110*time.Second)
	set(&c.CloseTimeout, 90*time.Second)
	set(&c.DeactTimeout, 60*time.Second)
	set(&c.PromptTimeout, 20*time.Second)
	set(&c.SendTimeout, 30*time.Second)
	set(&c.DataWait, 200*time.Millisecond)
	set(&c.EscapeGuard, 1100*time.Millisecond)
	set(&c.Linger, 10*time.Second)
	set(&c.SafetyPoll, 30*time.Second)
	set(&c.PollMax, 5*time.Second)
	set(&c.StallTimeout, 100*time.Second)
	set(&c.TailTimeout, 120*time.Second)
	if c.Mode == Transparent {
		c.SafetyPoll *= 10
	}
	if c.SyncTries == 0 {
		c.SyncTries = 15
	}
	if len(c.Spacing) == 0 {
		c.Spacing = guideSpacing
	}
	if len(c.RadioSpacing) == 0 {
		c.RadioSpacing = guideSpacing
	}
	if c.DataSize == 0 {
		c.DataSize = 512
	}
	if c.Window == 0 {
		c.Window = 7300
	}
	if c.StartWindow == 0 {
		c.StartWindow = min(guideThreshold, c.Window)
	}
	return c
}

// Validate names the first field that can't be used, and why.
func (c Config) Validate() error {
	if err := checkAPN(c.APN); err != nil {
		return fmt.Errorf("gsmnet: APN: %w", err)
	}
	if err := checkText(c.User); err != nil {
		return fmt.Errorf("gsmnet: User: %w", err)
	}
	if err := checkText(c.Password); err != nil {
		return fmt.Errorf("gsmnet: Password: %w", err)
	}
	if err := checkPIN(c.PIN); err != nil {
		return fmt.Errorf("gsmnet: PIN: %w", err)
	}
	if (c.User != "" || c.Password != "") && c.APN == "" {
		return errors.New("gsmnet: User and Password need an APN")
	}
	if c.Baud < 0 {
		return errors.New("gsmnet: Baud is negative")
	}
	if c.Mode > Transparent || c.Receive > Pushed {
		return errors.New("gsmnet: Mode or Receive is none of its constants")
	}
	for _, wait := range c.Spacing {
		if wait < time.Minute {
			return fmt.Errorf("gsmnet: Spacing: %v is less than a minute; restarts that follow one another are a fault of their own (G9.4)", wait)
		}
	}
	for _, wait := range c.RadioSpacing {
		if wait < time.Minute {
			return fmt.Errorf("gsmnet: RadioSpacing: %v is less than a minute: a search takes longer", wait)
		}
	}
	if c.SyncTries < 0 {
		return errors.New("gsmnet: SyncTries is negative")
	}
	if c.DataSize < 0 || c.DataSize > maxSend {
		return fmt.Errorf("gsmnet: DataSize: %d is not between 0 and %d bytes", c.DataSize, maxSend)
	}
	if c.TimeServer != "" {
		if _, err := parseTarget("udp", c.TimeServer); err != nil {
			return fmt.Errorf("gsmnet: TimeServer: %w", err)
		}
	}
	if c.Window != 0 && c.Window < maxSend {
		return fmt.Errorf("gsmnet: Window: %d is less than one send of %d bytes", c.Window, maxSend)
	}
	if c.DeactTimeout > 90*time.Second {
		return errors.New("gsmnet: DeactTimeout: more than the 90 s after which the module has to be restarted (G9.3)")
	}
	return nil
}
