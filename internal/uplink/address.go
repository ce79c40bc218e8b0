package uplink

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/fieldpost/fieldpost/agent/keep"
	"github.com/fieldpost/fieldpost/gsmnet"
)

// addresses remembers at which address each broker was reached last, for the time when the operator's name server doesn't answer. The
// certificate is still checked against the name.
type addresses struct {
	file string

	mu       sync.Mutex
	known    map[string]netip.Addr // by host name
	failures map[string]int        // names that didn't resolve, how often in a row
}

// dnsTries is after how many failures in a row of the name server the remembered address is used: the first may be a lost packet.
const dnsTries = 2

// openAddresses reads what was remembered. Its error says that it is learned anew.
func openAddresses(file string) (*addresses, error) {
	a := &addresses{file: file, known: make(map[string]netip.Addr), failures: make(map[string]int)}
	err := keep.Load(file, &a.known)
	if a.known == nil {
		a.known = make(map[string]netip.Addr)
	}
	return a, err
}

// save writes what was learned.
func (a *addresses) save() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) == 0 {
		return nil
	}
	return keep.Save(a.file, a.known)
}

// dial opens a connection to host:port. Where the name of the host has not resolved for the second time in a row it takes the address
// that has worked before.
func (a *addresses) dial(ctx context.Context, modem *gsmnet.Modem, address string) (*gsmnet.Conn, error) {
	conn, err := modem.DialContext(ctx, "tcp", address)
	host, port, _ := net.SplitHostPort(address)
	if stored, ok := a.instead(host, err); ok {
		if other, oerr := modem.DialContext(ctx, "tcp", net.JoinHostPort(stored.String(), port)); oerr == nil {
			conn, err = other, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return conn.(*gsmnet.Conn), nil
}

// instead is the remembered address of a host that err says doesn't resolve, if it is time for it.
func (a *addresses) instead(host string, err error) (netip.Addr, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if gsmnet.CauseOf(err) != gsmnet.CauseDNS {
		delete(a.failures, host)
		return netip.Addr{}, false
	}
	a.failures[host]++
	stored, ok := a.known[host]
	return stored, ok && a.failures[host] >= dnsTries
}

// worked notes where a broker was reached by its name: a session stands on the connection.
func (a *addresses) worked(conn *gsmnet.Conn) {
	name, ok := conn.RemoteAddr().(gsmnet.Addr) // else it was an address that was dialled
	peer := conn.Peer()
	if !ok || !peer.IsValid() {
		return
	}
	host, _, err := net.SplitHostPort(name.String())
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[host] = peer.Addr()
}
