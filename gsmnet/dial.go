package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// target is where to connect to, checked.
type target struct {
	network, host, port string
	isName              bool
}

func parseTarget(network, address string) (target, error) {
	protocol := strings.TrimSuffix(network, "4")
	if protocol != "tcp" && protocol != "udp" {
		return target{}, net.UnknownNetworkError(network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return target{}, err
	}
	if err := checkPort(port); err != nil {
		return target{}, err
	}
	isName, err := checkHost(host)
	if err != nil {
		return target{}, err
	}
	return target{protocol, host, port, isName}, nil
}

// Addr is the address of an end that is known by name.
type Addr struct{ network, text string }

// Network is "tcp" or "udp".
func (a Addr) Network() string { return a.network }

func (a Addr) String() string { return a.text }

func (t target) addr() net.Addr {
	text := net.JoinHostPort(t.host, t.port)
	if ap, err := netip.ParseAddrPort(text); err == nil {
		if t.network == "udp" {
			return net.UDPAddrFromAddrPort(ap)
		}
		return net.TCPAddrFromAddrPort(ap)
	}
	return Addr{t.network, text}
}

// dial opens a connection on the owner.
func (m *Modem) dial(ctx context.Context, t target) (*Conn, error) {
	const op = "dial"
	if t.network == "udp" && m.cfg.Mode == Transparent {
		return nil, fail(CauseUsage, op, "datagrams have no bounds in transparent mode: use command mode")
	}
	if s := m.owner.sock; s != nil {
		if !s.conn.isClosed() && !s.remoteClosed {
			return nil, &Error{CauseUsage, op, errBusy}
		}
		m.closeSocket()
	}
	m.tidy()
	// A context that turns out to be dead is brought up again once; after that whoever called decides when to try again.
	var err error
	for range 2 {
		if err = m.up(ctx); err != nil {
			return nil, err
		}
		boots := m.owner.boots
		if err = m.openable(); err == nil {
			err = m.open(ctx, t)
		}
		if err == nil {
			return m.connected(t), nil
		}
		if m.owner.fatal != nil {
			return nil, m.owner.fatal
		}
		if !errors.Is(err, errStale) && boots == m.owner.boots || ctx.Err() != nil {
			break
		}
	}
	return nil, m.as(CauseTCP, op, err)
}

// openable asks for the state first (G3.2): a module that restarted without a word would open the connection all the same, in a
// context of its own making and with none of our settings.
func (m *Modem) openable() error {
	state, err := m.status()
	if err != nil {
		return err
	}
	o := &m.owner
	switch {
	case state == "" || state == stInitial && o.lacks.context || state == stActivated && o.lacks.address:
		return nil // QIOPEN shows it
	}
	switch state {
	case stStatus, stClosed:
		return nil
	case stConnecting, stUDP, stConnected: // G3.3, G3.4
		return m.qiclose()
	case stInitial:
		m.rebooted(errors.New("the module has lost its context and settings without a word: it has probably restarted"))
	case stDeact:
		m.contextLost()
	default:
		m.dropContext()
	}
	return errStale
}

// errStale: the module's stack was in a state from which nothing can be opened; it has been put right.
var errStale = errors.New("the module's TCP/IP stack was in the wrong state")

// open does AT+QIOPEN. On the wire (G3.1), over UDP (G3.7), and in transparent mode (G8.1):
//
//	AT+QIOPEN="TCP","116.226.39.202","7007" → OK, later CONNECT OK
//	AT+QIOPEN="UDP","116.226.39.202","7007" → OK, CONNECT OK
//	AT+QIOPEN="TCP","116.226.39.202","7007" → OK, later CONNECT, and data mode from the next byte on
func (m *Modem) open(ctx context.Context, t target) error {
	if err := m.naming(t.isName); err != nil {
		if errors.Is(err, errNeedsDeact) {
			m.dropContext()
			return errStale
		}
		return err
	}
	line := fmt.Sprintf(`AT+QIOPEN=%s,%s,%s`, quote(strings.ToUpper(t.network)), quote(t.host), quote(t.port))
	if m.cfg.Mode == Transparent {
		m.d.RawAfter(online)
		defer m.d.RawAfter("")
	}
	var result string // some firmware gives it before or instead of the OK
	accept := func(line string) at.Verdict {
		switch line {
		case "CONNECT OK", "CONNECT FAIL", "ALREADY CONNECT", online:
			result = line
			return at.Done
		case "CLOSED": // of the connection before
			return at.More
		}
		return at.Final(line)
	}
	r, err := m.do(at.Command{Line: line, Accept: accept, Timeout: m.cfg.CommandTimeout})
	if isRefusal(err) {
		return m.openRefused() // G3.2
	}
	if err != nil {
		return err
	}
	if r.Final == "OK" {
		result, err = m.awaitConnect(ctx, accept, &result)
		if err != nil {
			return err
		}
	}
	switch result {
	case "CONNECT OK":
		return nil
	case online:
		m.owner.data = dataMode{on: true, wrote: time.Now()}
		return nil
	case "ALREADY CONNECT":
		return m.alreadyConnected(r.Final == "OK")
	}
	return m.openFailed(ctx, t, result)
}

// awaitConnect waits for the result after the OK. Its "" means that none came in time, or that the caller has gone (G3.6).
func (m *Modem) awaitConnect(ctx context.Context, accept func(string) at.Verdict, result *string) (string, error) {
	wait := func(line string) at.Verdict {
		if line == "OK" { // it may stand before and after ALREADY CONNECT
			return at.More
		}
		return accept(line)
	}
	_, came, err := m.d.Await(at.Command{Accept: wait, Timeout: m.cfg.OpenTimeout}, ctx.Done())
	switch {
	case err == nil && came:
		return *result, nil
	case err == nil, errors.Is(err, at.ErrTimeout), isRefusal(err):
		return "", nil
	}
	m.after(err)
	return "", err
}

// alreadyConnected: a connection stands that we don't know of, and a new one is wanted (G3.4). The OK may still follow.
func (m *Modem) alreadyConnected(hadOK bool) error {
	if !hadOK {
		m.d.Distrust()
	}
	if err := m.qiclose(); err != nil {
		return err
	}
	return errStale
}

// openRefused finds out what AT+QIOPEN's ERROR meant, and puts it right (G3.2, G3.3).
func (m *Modem) openRefused() error {
	if err := m.setOrCheck(setting{"QIMUX", "0"}, false); err != nil && !errors.Is(err, errNeedsDeact) {
		return err
	}
	state, err := m.status()
	if err != nil {
		return err
	}
	switch state {
	case stInitial, stStatus, stClosed:
		if m.owner.names == -1 {
			return fail(CauseTCP, "dial", "the module refused the address")
		}
		m.owner.names = -1 // set it again: it is the other thing that makes a good state refuse
		if state == stInitial {
			m.owner.contextUp = false
		}
		return errStale
	case stConnecting, stUDP, stConnected:
		if err := m.qiclose(); err != nil {
			return err
		}
	case stActivated: // without AT+QILOCIP it stays there
		m.owner.lacks.context = m.owner.lacks.address
		m.dropContext()
	default:
		m.dropContext()
	}
	return errStale
}

// openFailed cleans up after CONNECT FAIL, or after no result in time (G3.5, G3.6).
func (m *Modem) openFailed(ctx context.Context, t target, result string) error {
	if result == "" && m.cfg.Mode == Transparent {
		m.owner.data = dataMode{on: true} // it may have connected this moment: the next command must not reach the peer
	}
	state, err := m.status()
	if err != nil {
		return err
	}
	switch state {
	case stConnecting, stUDP, stConnected: // G3.5: the context stays; CONNECT OK may have come meanwhile
		err = m.qiclose()
	case stStatus, stClosed:
		// The stack has cleaned up by itself and could open again at once.
	default:
		m.dropContext()
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return fail(CauseTCP, "connect to "+net.JoinHostPort(t.host, t.port), "%w", ctx.Err())
	}
	if err := m.noNetwork(); err != nil {
		return err
	}
	switch {
	case result == "":
		return fail(CauseTCP, "connect to "+net.JoinHostPort(t.host, t.port), "no answer within %v", m.cfg.OpenTimeout)
	case t.isName && m.unresolvable(t.host):
		return fail(CauseDNS, "resolve "+t.host, "the operator's name server doesn't know the name: check it, or give an address")
	}
	return fail(CauseTCP, "connect to "+net.JoinHostPort(t.host, t.port), "the module reports CONNECT FAIL: "+
		"is the server up, is the port right, and does the plan allow it?")
}

// unresolvable asks for the name alone, to tell a wrong name from a dead server. On the wire:
//
//	AT+QIDNSGIP="broker.example" → OK, later an address or ERROR
func (m *Modem) unresolvable(host string) bool {
	if !m.owner.contextUp {
		return false
	}
	accept := func(line string) at.Verdict {
		if _, err := netip.ParseAddr(line); err == nil {
			return at.Done
		}
		if line == "OK" {
			return at.More
		}
		return at.Final(line)
	}
	const patience = 14 * time.Second // of the vendor's own layer
	_, err := m.do(at.Command{Line: "AT+QIDNSGIP=" + quote(host), Accept: accept, Timeout: patience})
	return isRefusal(err)
}

// dropContext notes that the context has to go before anything else.
func (m *Modem) dropContext() { m.owner.contextUp, m.owner.deactFirst = false, true }

// connected makes the Conn of a connection that stands.
func (m *Modem) connected(t target) *Conn {
	local, _ := netip.ParseAddr(m.owner.address)
	c := newConn(m, t, local)
	m.owner.sock = newSocket(c, m.cfg, time.Now())
	m.count(func(s *Stats) { s.Dials++ })
	m.owner.memory.noteSuccess()
	return c
}

// qiclose closes what is open. On the wire (G7.1):
//
//	AT+QICLOSE → CLOSE OK; ERROR when the peer has closed before
func (m *Modem) qiclose() error {
	accept := func(line string) at.Verdict {
		switch line {
		case "CLOSE OK", "CLOSED":
			return at.Done
		case "OK":
			return at.More
		}
		return at.Final(line)
	}
	_, err := m.doLong(at.Command{Line: "AT+QICLOSE", Accept: accept, Timeout: m.cfg.CloseTimeout,
		Trailing: []string{"CLOSE OK", "CLOSED", "OK"}})
	if isRefusal(err) {
		return nil
	}
	return err
}
