package gsmsim

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// transparentConfig is AT+QITCFG.
type transparentConfig struct {
	retry, wait, size, flag int
}

// defaultTransparent is the guide's example: wait 200 ms, packets of 512 bytes, +++ honoured.
var defaultTransparent = transparentConfig{retry: 3, wait: 2, size: 512, flag: 1}

func (t transparentConfig) String() string {
	return fmt.Sprintf("%d,%d,%d,%d", t.retry, t.wait, t.size, t.flag)
}

func (t *transparentConfig) set(c command) result {
	var n [4]int
	for i := range n {
		v, err := strconv.Atoi(c.arg(i))
		if err != nil || v < 0 {
			return resError
		}
		n[i] = v
	}
	if len(c.args) != len(n) || n[2] < 1 || n[2] > maxSegment {
		return resError
	}
	*t = transparentConfig{retry: n[0], wait: n[1], size: n[2], flag: n[3]}
	return resOK
}

// dataMode is the transparent mode of the serial line.
type dataMode struct {
	entered bool   // a transparent connection stands, in data mode or escaped from it
	kept    []byte // received while escaped
	buffer  []byte // to be sent
	flush   *event
	last    time.Time // when the last byte came in
	plus    int       // plus signs since a silence
	guard   *event
}

func (d *dataMode) stop() {
	d.flush.stop()
	d.guard.stop()
}

// enterData makes the line transparent.
func (u *uart) enterData() {
	u.mode = modeData
	u.data = dataMode{entered: true, last: u.m.now}
}

// leaveData is the end of the transparent connection; what is not sent is lost.
func (u *uart) leaveData() {
	if !u.data.entered {
		return
	}
	u.data.stop()
	u.data = dataMode{}
	if u.mode == modeData {
		u.mode = modeCommand
	}
}

// dataInput takes bytes for the server. Packets are cut by time and size, not by what the host
// wrote together.
func (u *uart) dataInput(b []byte) int {
	d := &u.data
	quiet := u.m.now.Sub(d.last) >= u.m.cfg.Timing.EscapeGuard
	d.last = u.m.now
	d.guard.stop()
	if u.m.stack.config.flag == 1 && u.escaping(b, quiet) {
		return len(b)
	}
	d.buffer = append(d.buffer, bytes.Repeat([]byte("+"), d.plus)...)
	d.plus = 0
	d.buffer = append(d.buffer, b...)
	u.sendFull()
	return len(b)
}

// escaping tells whether b can be a part of "+++" between silences, and waits for the second one.
func (u *uart) escaping(b []byte, quiet bool) bool {
	d := &u.data
	if d.plus == 0 && !quiet || len(bytes.Trim(b, "+")) > 0 || d.plus+len(b) > 3 {
		return false
	}
	d.plus += len(b)
	d.guard = u.m.after(u.m.cfg.Timing.EscapeGuard, func() {
		if d.plus == 3 {
			d.plus = 0
			u.sendRest()
			u.mode = modeCommand
			u.m.announce("OK")
			return
		}
		d.buffer = append(d.buffer, bytes.Repeat([]byte("+"), d.plus)...)
		d.plus = 0
		u.sendFull()
	})
	return true
}

// sendFull sends the packets that are full, and the rest after AT+QITCFG's wait.
func (u *uart) sendFull() {
	d, cfg := &u.data, u.m.stack.config
	for len(d.buffer) >= cfg.size && u.sendPart(cfg.size) {
	}
	d.flush.stop()
	if len(d.buffer) > 0 {
		d.flush = u.m.after(time.Duration(cfg.wait)*100*time.Millisecond, u.sendRest)
	}
}

func (u *uart) sendRest() {
	d := &u.data
	for len(d.buffer) > 0 && u.sendPart(min(len(d.buffer), u.m.stack.config.size)) {
	}
	if len(d.buffer) > 0 { // no room in the window: try again later
		d.flush = u.m.after(100*time.Millisecond, u.sendRest)
	}
	u.m.line.gate(len(d.buffer) >= sendWindow || u.m.cfg.Faults.HoldFlow)
}

func (u *uart) sendPart(n int) bool {
	k := u.m.stack.sockets[0]
	if k == nil || u.m.transfer(k, u.data.buffer[:n]) != "SEND OK" {
		return false
	}
	u.data.buffer = bytes.Clone(u.data.buffer[n:])
	return true
}

// online answers ATO: back to data mode, or NO CARRIER.
func (m *Module) online() result {
	u := &m.uart
	if !u.data.entered {
		return resFinal("NO CARRIER")
	}
	m.then(func() {
		if !u.data.entered {
			return
		}
		kept := u.data.kept
		u.enterData()
		m.raw(kept)
	})
	return resFinal("CONNECT")
}
