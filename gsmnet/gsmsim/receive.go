package gsmsim

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// received takes one packet for the host: announced and kept, or pushed at once.
func (k *socket) received(data []byte) {
	m := k.m
	if m.uart.mode == modeData {
		m.raw(data)
		return
	}
	if m.uart.data.entered { // transparent, but in command mode for a while
		m.uart.data.kept = append(m.uart.data.kept, data...)
		return
	}
	if m.stack.indi == 0 {
		k.push(data)
		return
	}
	k.rx = append(k.rx, data)
	k.rxBytes += len(data)
	k.announce(len(data))
}

// announce is the +QIRDI for one more packet in the buffer.
func (k *socket) announce(n int) {
	m := k.m
	place := fmt.Sprintf("+QIRDI: %d,1,%d", m.stack.context, k.index)
	if m.stack.indi == 2 || m.cfg.Model.CountedQIRDI {
		m.urc(fmt.Sprintf("%s,%d,%d,%d", place, len(k.rx), n, k.rxBytes))
		return
	}
	if k.announced && !m.cfg.Model.RepeatQIRDI {
		return
	}
	k.announced = true
	m.urc(place)
}

// push sends data to the host as it comes, with what the settings put before it.
func (k *socket) push(data []byte) {
	o := &k.m.stack.options
	var head strings.Builder
	if k.m.stack.mux == 1 {
		fmt.Fprintf(&head, "\r\n+RECEIVE: %d, %d\r\n", k.index, len(data))
	} else {
		if o.showRA == 1 {
			space := " "
			if k.m.cfg.Model.NoPushedSpace {
				space = ""
			}
			fmt.Fprintf(&head, "\r\nRECV FROM:%s%s\r\n", space, k.remote)
		}
		if o.showLA == 1 {
			fmt.Fprintf(&head, "TO:%s\r\n", k.m.stack.address)
		}
		protocol := ""
		if o.showPT == 1 {
			protocol = k.network()
		}
		if o.head == 1 {
			fmt.Fprintf(&head, "IPD%d%s:", len(data), protocol)
		} else if protocol != "" {
			fmt.Fprintf(&head, "%s:", protocol)
		}
	}
	k.m.raw(append([]byte(head.String()), data...))
}

// read answers AT+QIRD=<context>,<role>,<socket>,<length>: the oldest bytes of the buffer, or
// only OK if it is empty.
func (m *Module) read(c command) result {
	s := &m.stack
	m.stats.Reads++
	if len(c.args) != 4 {
		return resError
	}
	var n [4]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(c.arg(i)); err != nil {
			return resError
		}
	}
	if n[0] != s.context || n[1] != 1 || n[2] < 0 || n[2] >= len(s.sockets) ||
		n[3] < 1 || n[3] > m.cfg.Model.ReadMax {
		return resError
	}
	k := s.sockets[n[2]]
	if k == nil || k.state == sockConnecting {
		return resError
	}
	if m.cfg.Faults.FailReads > 0 {
		m.cfg.Faults.FailReads--
		return resError
	}
	data := k.take(n[3])
	if len(data) == 0 {
		if m.cfg.Model.ReadZero {
			m.info("+QIRD: 0")
		}
		return resOK
	}
	header := m.spaced("+QIRD: " + k.remote + "," + k.network() + "," + strconv.Itoa(len(data)))
	end, res := "", resSilent
	switch m.cfg.Model.ReadEnd {
	case "":
		res = resOK
	case "glued":
		end = "OK\r\n"
	case "crlf":
		end = "\r\n"
	}
	m.reply(append([]byte("\r\n"+header+"\r\n"), append(data, end...)...))
	return res
}

// take removes up to n bytes from the buffer: of the oldest packet only, if the module reads
// by packets or the packets are datagrams.
func (k *socket) take(n int) []byte {
	before := k.room()
	var data []byte
	for len(k.rx) > 0 && len(data) < n {
		part := min(n-len(data), len(k.rx[0]))
		data = append(data, k.rx[0][:part]...)
		if k.rx[0] = k.rx[0][part:]; len(k.rx[0]) == 0 {
			k.rx = k.rx[1:]
		}
		if k.udp || k.m.cfg.Model.ReadByPacket {
			break
		}
	}
	k.rxBytes -= len(data)
	if k.rxBytes == 0 {
		k.announced = false
	}
	if k.flow != nil && k.flow.module != nil {
		k.flow.module.windowOpened(before)
	}
	return bytes.Clone(data)
}
