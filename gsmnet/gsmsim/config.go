package gsmsim

import (
	"context"
	"net"
	"time"
)

// Config describes a module, its SIM, the network around it and the faults it has. The zero
// Config is an M95 as it leaves the factory (speed found automatically) with a SIM without PIN,
// in good coverage, on an even GPRS link, that dials the machine's own network.
type Config struct {
	Model   Model         `json:"model"`
	Baud    int           `json:"baud"` // the stored speed (AT+IPR); 0: found from the host's first "AT"
	Off     bool          `json:"off"`  // start switched off, waiting for PowerKey
	SIM     SIM           `json:"sim"`
	Network Network       `json:"network"`
	Radio   Radio         `json:"radio"`
	NATIdle time.Duration `json:"nat_idle"` // the operator forgets a connection idle for so long; 0: never
	Timing  Timing        `json:"timing"`
	Faults  Faults        `json:"faults"`
	Seed    uint64        `json:"seed"` // of everything that looks random

	// Dial reaches the servers. Nil means net.Dialer. Network is "tcp" or "udp", address is as
	// the host gave it, so a name is resolved by Dial. Close of the returned Conn must not block.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`

	// Trace, when set, sees the bytes of the serial line as they arrive at either end. It is
	// called on the module's goroutine, must return soon and must not keep b.
	Trace func(dir Direction, b []byte) `json:"-"`
}

// Direction tells which way bytes went on the serial line.
type Direction uint8

const (
	ToModule Direction = iota // host to module
	ToHost                    // module to host
)

// String returns an arrow as seen from the host.
func (d Direction) String() string {
	if d == ToModule {
		return "->"
	}
	return "<-"
}

// Model is what differs between modules and firmware.
type Model struct {
	Name           string `json:"name"`            // "M95" by default, as in AT+CGMM's Quectel_M95
	Revision       string `json:"revision"`        // as in ATI
	IMEI           string `json:"imei"`            // 15 digits
	ReadMax        int    `json:"read_max"`        // most bytes of one AT+QIRD, more is an ERROR; 0: 1500
	ReadByPacket   bool   `json:"read_by_packet"`  // one QIRD gives one packet's bytes though more wait
	BarePort       bool   `json:"bare_port"`       // AT+QIOPEN takes a port without quotes
	AutobaudMisses int    `json:"autobaud_misses"` // "AT"s without an answer until the speed is found; 0: one
	BareSync       bool   `json:"bare_sync"`       // the speed is found from "AT" CR alone, not from a longer command
	NoSave         bool   `json:"no_save"`         // AT&W keeps nothing over a reset
	SMSReady       bool   `json:"sms_ready"`       // newer firmware reports SMS Ready after Call Ready
	WarningSpace   bool   `json:"warning_space"`   // voltage warnings end in a space
	EscapeReply    string `json:"escape_reply"`    // what ESC in a free AT+QISEND answers; "": OK, "none": nothing
	AlreadyConnect string `json:"already_connect"` // "": ALREADY CONNECT alone, "after": OK first, "before": OK after it
	RefuseRepeated bool   `json:"refuse_repeated"` // a setting that already has the value answers ERROR
	StrictDNSIP    bool   `json:"strict_dns_ip"`   // an address is refused too while AT+QIDNSIP=1
	DropOnClosed   bool   `json:"drop_on_closed"`  // data unread when the peer closes is gone
	NoPINTries     bool   `json:"no_pin_tries"`    // AT+QTRPIN is unknown
	NoPushedSpace  bool   `json:"no_pushed_space"` // RECV FROM:ip instead of RECV FROM: ip
	ClosedOnDeact  bool   `json:"closed_on_deact"` // CLOSED for each socket before +PDP DEACT
	RepeatQIRDI    bool   `json:"repeat_qirdi"`    // with QINDI=1 one +QIRDI for every packet
	CountedQIRDI   bool   `json:"counted_qirdi"`   // the six-field +QIRDI also with QINDI=1
	Spacing        string `json:"spacing"`         // "", "tight" (+CREG:0,1 and 9,0,9) or "loose" (+CREG: 0, 1)
	LeadingBlank   int    `json:"leading_blank"`   // extra CR LF pairs before an information line, -1: none at all
	OKBeforeFinal  bool   `json:"ok_before_final"` // OK ahead of CLOSE OK and DEACT OK
	CMEE           int    `json:"cmee"`            // AT+CMEE after power-on
	CPINAsCME      bool   `json:"cpin_as_cme"`     // AT+CPIN? without a SIM: +CME ERROR: 10 instead of NOT INSERTED
	ReadEnd        string `json:"read_end"`        // behind AT+QIRD's data "": CR LF and OK, "glued": OK at once, "crlf": CR LF alone, "none"
	ReadZero       bool   `json:"read_zero"`       // AT+QIRD of an empty buffer answers +QIRD: 0 before the OK

	// Commands that this firmware doesn't know, and questions that it answers with OK alone: "+QIREGAPP", or with what follows the
	// name, "+QIMUX?".
	Refuses []string `json:"refuses"`
	Untold  []string `json:"untold"`
}

// SIM is the card in the holder.
type SIM struct {
	Absent  bool   `json:"absent"`
	PIN     string `json:"pin"`   // "" if the card asks for none
	PUK     string `json:"puk"`   // "" means 00000000
	Tries   int    `json:"tries"` // PIN tries left; 0: three, negative: none, the PUK is asked for
	IMSI    string `json:"imsi"`
	ICCID   string `json:"iccid"`
	Unready bool   `json:"unready"` // SIM BUSY for ever
}

// Network is the operator.
type Network struct {
	Operator  string        `json:"operator"`
	MCC       string        `json:"mcc"`
	MNC       string        `json:"mnc"`
	LAC       string        `json:"lac"`  // four hex digits
	Cell      string        `json:"cell"` // four hex digits
	Roaming   bool          `json:"roaming"`
	Denied    bool          `json:"denied"`     // registration is refused
	NoGPRS    bool          `json:"no_gprs"`    // registered, but the attach never succeeds
	APN       string        `json:"apn"`        // the only APN that is served; "": any
	Register  time.Duration `json:"register"`   // from SIM ready, or coverage back, to registered; 0: 2 s
	Attach    time.Duration `json:"attach"`     // from registered to attached; 0: 1 s
	LoseAfter time.Duration `json:"lose_after"` // no coverage for so long ends the context; 0: never
	NoTime    bool          `json:"no_time"`    // sends no time and zone (NITZ)
}

// Radio is the link through the air.
type Radio struct {
	Up     int           `json:"up"`     // bytes a second; 0: 3000 (two slots of CS-2)
	Down   int           `json:"down"`   // bytes a second; 0: 6000 (four slots)
	RTT    time.Duration `json:"rtt"`    // round trip of an empty link; 0: 600 ms
	Jitter time.Duration `json:"jitter"` // at most so much more, each way
	Loss   float64       `json:"loss"`   // share of packets lost
	Signal int           `json:"signal"` // AT+CSQ's 0 to 31 in coverage; 0: 21
}

// Timing is how long the module takes.
type Timing struct {
	Boot        time.Duration `json:"boot"`         // from power to the first answer; 0: 2.5 s
	Answer      time.Duration `json:"answer"`       // an ordinary command; 0: 10 ms
	Prompt      time.Duration `json:"prompt"`       // from AT+QISEND to the prompt; 0: as Answer
	Activate    time.Duration `json:"activate"`     // AT+QIACT; 0: 2 s
	Deactivate  time.Duration `json:"deactivate"`   // AT+QIDEACT; 0: 2 s
	Settle      time.Duration `json:"settle"`       // from QIREGAPP's OK to the state IP START; 0: 100 ms
	Close       time.Duration `json:"close"`        // AT+QICLOSE; 0: 300 ms
	Connect     time.Duration `json:"connect"`      // a connection that gets no answer fails after it; 0: 75 s
	EscapeGuard time.Duration `json:"escape_guard"` // the silence before and after "+++"; 0: 1 s
	LogOff      time.Duration `json:"log_off"`      // from power key or QPOWD to off; 0: 4 s
	GiveUp      time.Duration `json:"give_up"`      // the module's TCP without any answer; 0: 5 min
	PeerGiveUp  time.Duration `json:"peer_give_up"` // the server's TCP without any answer; 0: 15 min
}

func (c Config) withDefaults() Config {
	m := &c.Model
	set(&m.Name, "M95")
	set(&m.Revision, m.Name+"FAR02A08")
	set(&m.IMEI, "001017000000017") // 001017: a type allocation code for tests
	set(&m.ReadMax, 1500)
	set(&m.AutobaudMisses, 1)
	set(&c.SIM.PUK, "00000000")
	set(&c.SIM.Tries, 3)
	set(&c.SIM.IMSI, "001010000000001") // MCC 001 is the test network
	set(&c.SIM.ICCID, "89001010000000000018")
	set(&c.Network.Operator, "TEST NETWORK")
	set(&c.Network.MCC, "001")
	set(&c.Network.MNC, "01")
	set(&c.Network.LAC, "2842")
	set(&c.Network.Cell, "0461")
	set(&c.Network.Register, 2*time.Second)
	set(&c.Network.Attach, time.Second)
	set(&c.Radio.Up, 3000) // 12 kbit/s a slot is left of CS-2 above RLC and LLC
	set(&c.Radio.Down, 6000)
	set(&c.Radio.RTT, 600*time.Millisecond)
	set(&c.Radio.Signal, 21)
	t := &c.Timing
	set(&t.Boot, 2500*time.Millisecond)
	set(&t.Answer, 10*time.Millisecond)
	set(&t.Prompt, t.Answer)
	set(&t.Activate, 2*time.Second)
	set(&t.Deactivate, 2*time.Second)
	set(&t.Settle, 100*time.Millisecond)
	set(&t.Close, 300*time.Millisecond)
	set(&t.Connect, 75*time.Second)
	set(&t.EscapeGuard, time.Second)
	set(&t.LogOff, 4*time.Second)
	set(&t.GiveUp, 5*time.Minute)
	set(&t.PeerGiveUp, 15*time.Minute)
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return c
}

// set gives *p the value v if it still has its zero value.
func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
