package gsmsim

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"
)

// How the module asks a name server: a question, and again when nothing comes back.
const (
	dnsHeaders = udpHeaders + 12 + 6 // IP, UDP, DNS header, type and class with the name's ends
	dnsAnswer  = 16                  // one address record more
	dnsRetry   = 5 * time.Second
	dnsTries   = 3
)

// fakeAddress is the address that the simulated name servers give a name: in 198.18.0.0/15,
// which is set aside for tests. Connections to it are dialled by the name.
func (m *Module) fakeAddress(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	n := h.Sum32()
	address := fmt.Sprintf("198.%d.%d.%d", 18+n>>16&1, n>>8&0xff, n&0xff)
	m.nat.names[address] = name
	return address
}

// nameOf is what to dial for an address or a name.
func (m *Module) nameOf(host string) string {
	if name, found := m.nat.names[host]; found {
		return name
	}
	return host
}

// lookUp finds the address of a host, which may be an address already, and passes "" if there is
// none.
func (m *Module) lookUp(host string, done func(address string)) {
	if _, err := netip.ParseAddr(host); err == nil {
		done(host)
		return
	}
	answered := false
	var ask func(try int)
	ask = func(try int) {
		if answered {
			return
		}
		if try == dnsTries {
			answered = true
			done("")
			return
		}
		n := dnsHeaders + len(host)
		m.air.send(&m.air.up, n, func() {
			if m.cfg.Faults.DNSSilent {
				return
			}
			m.air.send(&m.air.down, n+dnsAnswer, func() {
				if answered {
					return
				}
				answered = true
				if m.cfg.Faults.DNSFails {
					done("")
				} else {
					done(m.fakeAddress(host))
				}
			})
		})
		m.after(dnsRetry, func() { ask(try + 1) })
	}
	ask(0)
}

// resolve answers AT+QIDNSGIP: OK now, the address or ERROR later.
func (m *Module) resolve(c command) result {
	switch m.stack.state {
	case ipGPRSAct, ipStatus, ipConnecting, ipConnectOK, ipClose:
	default:
		return resError
	}
	host := c.arg(0)
	if host == "" {
		return resError
	}
	m.then(func() {
		id := m.stats.Boots
		m.lookUp(host, func(address string) {
			switch {
			case m.stats.Boots != id:
			case address == "":
				m.announce("ERROR")
			default:
				m.announce(address)
			}
		})
	})
	return resOK
}
