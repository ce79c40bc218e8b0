package gsmsim

import (
	"context"
	"errors"
	"net"
	"time"
)

// nat is the operator's gateway: the connections that it knows of, or once knew of.
type nat struct {
	m     *Module
	flows map[*flow]bool    // those with a living end
	names map[string]string // by the addresses that the name server made up
}

func (n *nat) init(m *Module) {
	n.m, n.flows, n.names = m, make(map[*flow]bool), make(map[string]string)
}

// closeAll ends all connections at the server's side: the module object itself goes away.
func (n *nat) closeAll() {
	for f := range n.flows {
		f.remove()
	}
}

// ForgetNAT makes the operator's gateway forget all connections: no one is told, and what either side
// sends from now on goes nowhere.
func (m *Module) ForgetNAT() {
	m.do(func() {
		for f := range m.nat.flows {
			f.forgotten = true
		}
	})
}

// flow is one connection from the module through the gateway to a server.
type flow struct {
	m       *Module
	udp     bool
	address string

	sock   *socket   // nil once the application has let go of it
	module *endpoint // TCP only; nil until established
	server *endpoint // TCP only; nil until the dial has succeeded
	far    *far      // nil until the dial has succeeded

	dialing   context.CancelFunc
	syn       *event
	used      time.Time // last packet that passed
	forgotten bool
	gone      bool     // the module's end has vanished without a word
	early     [][]byte // datagrams that wait for the dial
}

// open begins a connection for a socket; the outcome goes to sock.opened.
func (n *nat) open(k *socket, address string) *flow {
	f := &flow{m: n.m, udp: k.udp, address: address, sock: k}
	n.flows[f] = true
	if f.udp {
		f.dial()
		k.opened(true)
	} else {
		f.sendSYN(firstTimeout)
	}
	return f
}

func (f *flow) sendSYN(wait time.Duration) {
	f.m.air.send(&f.m.air.up, tcpHeaders, f.synArrived)
	f.syn = f.m.after(wait, func() { f.sendSYN(min(2*wait, mostTimeout)) })
}

func (f *flow) synArrived() {
	switch {
	case !f.passes():
	case f.server != nil:
		f.sendSYNAck()
	case f.dialing == nil && !f.gone:
		f.dial()
	}
}

func (f *flow) sendSYNAck() {
	f.m.air.send(&f.m.air.down, tcpHeaders, f.established)
}

// dial reaches for the server. The goroutine ends with the dial, and Module.Close waits for it.
func (f *flow) dial() {
	m := f.m
	network := "tcp"
	if f.udp {
		network = "udp"
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.dialing = cancel
	m.wg.Go(func() {
		defer cancel()
		conn, err := m.cfg.Dial(ctx, network, f.address)
		if !m.post(func() { f.dialed(conn, err) }) && err == nil {
			conn.Close()
		}
	})
}

func (f *flow) dialed(conn net.Conn, err error) {
	var timeout net.Error
	switch {
	case err != nil && errors.As(err, &timeout) && timeout.Timeout():
		return // nobody answers: the module's own limit ends the attempt
	case err != nil:
		f.m.air.send(&f.m.air.down, tcpHeaders, f.refused)
		return
	case f.gone || !f.m.nat.flows[f]:
		conn.Close()
		return
	}
	f.far = newFar(f, conn)
	if f.udp {
		f.far.write(f.early...)
		f.early = nil
		f.far.read(maxSegment)
		return
	}
	f.server = f.m.newEndpoint(f.m.cfg.Timing.PeerGiveUp)
	f.server.transmit = f.sendDown
	f.server.room = func() int { return max(0, farBuffer-f.far.waiting) }
	f.server.deliver = f.far.deliver
	f.server.acked = f.far.more
	f.server.dead = f.serverGone
	f.sendSYNAck()
	f.far.more()
}

func (f *flow) refused() {
	f.syn.stop()
	if f.sock != nil && f.module == nil {
		k := f.sock
		f.remove()
		k.opened(false)
	}
}

// established is the arrival of the server's SYN-ACK at the module.
func (f *flow) established() {
	if f.module != nil || f.gone || f.sock == nil {
		return
	}
	f.syn.stop()
	f.m.stats.Connects++
	e := f.m.newEndpoint(f.m.cfg.Timing.GiveUp)
	f.module = e
	e.transmit = f.sendUp
	e.room = f.sock.room
	e.deliver = f.atModule
	e.acked = func() {}
	e.dead = f.moduleGaveUp
	e.emit(segment{})
	f.sock.opened(true)
}

// atModule is data, or the end of it, that has arrived in order at the module.
func (f *flow) atModule(data []byte, fin bool) {
	if !fin {
		if f.sock != nil {
			f.sock.received(data)
		}
		f.module.accept(len(data))
		return
	}
	f.module.accepted++
	if !f.module.finish() {
		f.module.emit(segment{seq: f.module.end})
	}
	f.tellClosed()
}

func (f *flow) tellClosed() {
	if k := f.sock; k != nil {
		f.sock = nil
		k.closedByPeer()
	}
}

// moduleGaveUp ends the module's side: nothing was heard for long, or a reset.
func (f *flow) moduleGaveUp() {
	f.gone = true
	f.settle()
	f.tellClosed()
}

// serverGone ends the server's side. The module does not know.
func (f *flow) serverGone() {
	f.server.stop()
	f.far.close()
	f.settle()
}

// settle forgets a connection without a living end.
func (f *flow) settle() {
	if f.far != nil && f.far.closed && (f.gone || f.module != nil && f.module.closed) {
		delete(f.m.nat.flows, f)
	}
}

// passes tells whether the gateway lets a packet through, and notes that it did.
func (f *flow) passes() bool {
	idle := f.m.cfg.NATIdle
	if idle > 0 && !f.used.IsZero() && f.m.now.Sub(f.used) > idle {
		f.forgotten = true
	}
	if f.forgotten {
		f.m.stats.Forgotten++
		return false
	}
	f.used = f.m.now
	return true
}

// sendUp carries a segment from the module to the server.
func (f *flow) sendUp(s segment) {
	f.m.stats.DataUp += uint64(len(s.data))
	f.m.air.send(&f.m.air.up, tcpHeaders+len(s.data), func() {
		switch {
		case !f.passes() || f.server == nil:
		case f.server.closed && !s.rst:
			f.sendDown(segment{rst: true})
		default:
			f.server.arrive(s)
		}
	})
}

// sendDown carries a segment from the server to the module.
func (f *flow) sendDown(s segment) {
	if !f.passes() || f.gone {
		return
	}
	f.m.stats.DataDown += uint64(len(s.data))
	f.m.air.send(&f.m.air.down, tcpHeaders+len(s.data), func() {
		if f.module != nil && !f.gone {
			f.module.arrive(s)
		}
	})
}

// datagramUp carries a datagram from the module to the server.
func (f *flow) datagramUp(b []byte) {
	f.m.stats.DataUp += uint64(len(b))
	f.m.air.send(&f.m.air.up, udpHeaders+len(b), func() {
		switch {
		case !f.passes():
		case f.far == nil:
			f.early = append(f.early, b)
		default:
			f.far.write(b)
		}
	})
}

// datagramDown carries a datagram from the server to the module.
func (f *flow) datagramDown(b []byte) {
	if !f.passes() || f.gone {
		return
	}
	f.m.stats.DataDown += uint64(len(b))
	f.m.air.send(&f.m.air.down, udpHeaders+len(b), func() {
		if f.sock != nil && !f.gone && f.sock.room() > 0 {
			f.sock.received(b)
		}
	})
}

// shut is an orderly close by the module: what is queued is still sent, then the end.
func (f *flow) shut() {
	f.sock = nil
	f.syn.stop()
	if f.module == nil {
		f.remove()
		return
	}
	f.module.room = func() int { return receiveWindow }
	f.module.finish()
}

// abandon is the disappearance of the module's end. The server is not told.
func (f *flow) abandon() {
	f.sock, f.gone = nil, true
	f.syn.stop()
	if f.module != nil {
		f.module.stop()
	}
	if f.far == nil || f.udp {
		f.remove()
	}
	f.settle()
}

// remove ends the connection at the server's side.
func (f *flow) remove() {
	delete(f.m.nat.flows, f)
	f.syn.stop()
	f.gone = true
	if f.dialing != nil {
		f.dialing()
	}
	if f.module != nil {
		f.module.stop()
	}
	if f.server != nil {
		f.server.stop()
	}
	if f.far != nil {
		f.far.close()
	}
}
