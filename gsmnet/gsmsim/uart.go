package gsmsim

import (
	"bytes"
	"slices"
)

// mode is what the module does with the bytes that come in.
type mode uint8

const (
	modeCommand mode = iota
	modePrompt       // payload of an AT+QISEND
	modeData         // transparent mode
)

// maxLine is the longest command line; what is beyond makes it an ERROR.
const maxLine = 1024

// maxPending is what the module keeps of the bytes that come while a command runs.
const maxPending = 4096

// autobaudSpeeds are those that can be found automatically.
var autobaudSpeeds = []int{4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200}

// fixedSpeeds are those that AT+IPR takes.
var fixedSpeeds = append([]int{75, 150, 300, 600, 1200, 2400}, autobaudSpeeds...)

// settings are those that AT&W keeps over a power cycle.
type settings struct {
	ipr     int // 0: found automatically
	echo    bool
	verbose bool
	cmee    int
}

// uart is the module's serial interface: speed, echo, and where bytes go.
type uart struct {
	m *Module
	settings
	stored  settings
	nextIPR *int // takes effect when the OK has left

	synced  bool // with ipr 0: the speed has been found
	found   int  // and is this
	misses  int  // "AT"s that were lost on finding it
	syncing []byte

	mode    mode
	line    []byte // command line typed so far
	tooLong bool
	pending []byte // came while a command was running
	run     run
	prompt  prompt
	data    dataMode
}

func (u *uart) init(m *Module) {
	u.m = m
	u.stored = settings{ipr: m.cfg.Baud, echo: true, verbose: true, cmee: m.cfg.Model.CMEE}
	u.settings = u.stored
}

// restart is what a reset does to the interface.
func (u *uart) restart() {
	u.settings = u.stored
	u.nextIPR = nil
	u.synced, u.misses, u.syncing = false, 0, nil
	u.mode, u.line, u.tooLong, u.pending = modeCommand, nil, false, nil
	u.run, u.prompt = run{id: u.run.id + 1}, prompt{}
	u.data.stop()
	u.data = dataMode{}
}

// speed is the module's speed in both directions.
func (u *uart) speed() int {
	switch {
	case u.ipr != 0:
		return u.ipr
	case u.synced:
		return u.found
	case u.m.line.port != nil:
		return u.m.line.port.baud()
	default:
		return wireBaud
	}
}

// silent tells whether nothing can be sent, for the speed is not known yet.
func (u *uart) silent() bool { return u.ipr == 0 && !u.synced }

// input takes bytes from the line.
func (u *uart) input(b []byte) {
	if !u.m.power.answers() || u.m.cfg.Faults.Hang {
		return
	}
	if u.silent() {
		b = u.findSpeed(b)
	}
	u.feed(b)
}

// findSpeed looks for "AT" or "at", the only strings that the speed can be found from, and
// returns what is to be read as commands.
func (u *uart) findSpeed(b []byte) []byte {
	if !slices.Contains(autobaudSpeeds, u.speed()) {
		return nil
	}
	for i, c := range b {
		if !u.knocked(c) {
			continue
		}
		if u.misses < u.m.cfg.Model.AutobaudMisses {
			u.misses++
			continue
		}
		u.found, u.synced = u.speed(), true
		u.echoBack([]byte("AT"))
		u.line = []byte("AT")
		if c == '\r' {
			return b[i:]
		}
		return b[i+1:]
	}
	return nil
}

// knocked takes a byte and tells whether it completes what the speed is found from.
func (u *uart) knocked(c byte) bool {
	u.syncing = append(u.syncing, c)
	if !u.m.cfg.Model.BareSync {
		u.syncing = u.syncing[max(0, len(u.syncing)-2):]
		return string(u.syncing) == "AT" || string(u.syncing) == "at"
	}
	if c != '\r' {
		return false
	}
	line := string(bytes.TrimLeft(u.syncing, "\r\n"))
	u.syncing = nil
	return line == "AT\r" || line == "at\r"
}

// feed hands bytes to whatever takes them now. It stops when a command begins to run, and
// keeps the rest for afterwards.
func (u *uart) feed(b []byte) {
	for len(b) > 0 {
		if u.run.busy {
			if u.run.noteOverlap(b) {
				u.m.stats.Overlapped++
			}
			room := max(0, maxPending-len(u.pending))
			u.m.stats.Overrun += uint64(max(0, len(b)-room))
			u.pending = append(u.pending, b[:min(room, len(b))]...)
			return
		}
		switch u.mode {
		case modePrompt:
			b = b[u.promptInput(b):]
		case modeData:
			b = b[u.dataInput(b):]
		default:
			b = b[u.commandInput(b):]
		}
	}
}

// resume feeds what came while a command was running.
func (u *uart) resume() {
	b := u.pending
	u.pending = nil
	u.feed(b)
}

// commandInput takes the characters of a command line up to its CR and returns how many it took.
func (u *uart) commandInput(b []byte) int {
	n := len(b)
	if i := bytes.IndexByte(b, '\r'); i >= 0 {
		n = i + 1
	}
	u.echoBack(bytes.TrimLeft(b[:n], "\n")) // the LF behind the last command's CR
	for _, c := range b[:n] {
		switch {
		case c == '\r':
			line := string(u.line)
			tooLong := u.tooLong
			u.line, u.tooLong = nil, false
			u.m.execute(line, tooLong)
		case c == '\n':
		case c == '\b':
			u.line = u.line[:max(0, len(u.line)-1)]
		case len(u.line) >= maxLine:
			u.tooLong = true
		default:
			u.line = append(u.line, c)
		}
	}
	return n
}

func (u *uart) echoBack(b []byte) {
	if u.echo {
		u.m.raw(b)
	}
}

// raw sends bytes as they are.
func (m *Module) raw(b []byte) {
	if m.uart.silent() || !m.power.answers() || len(b) == 0 {
		return
	}
	m.line.send(slices.Clone(b))
}

// urc sends an unsolicited line. It waits for nothing: it can fall between a command and its
// reply, and, when Faults.URCInReply says so, into the reply.
func (m *Module) urc(text string) {
	if m.uart.silent() || !m.power.running() || m.cfg.Faults.dropsURC(text) {
		return
	}
	frame := []byte("\r\n" + m.spaced(text) + "\r\n")
	if m.uart.mode == modeData {
		m.line.send(frame)
		return
	}
	if m.cfg.Faults.URCInReply && m.uart.run.busy {
		m.uart.run.held = append(m.uart.run.held, frame)
		return
	}
	m.line.send(frame)
}
