package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// policy lets the page's own files work and nothing else: no inline script or style, no frame, no form, no other host.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard stands before every route.
type guard struct {
	listen    string
	admission atomic.Pointer[admission]
}

// admission is which requests are let through.
type admission struct {
	hosts map[string]bool // lower case, without ports
	token [sha256.Size]byte
	asks  bool // for the token
}

func newGuard(listen string, hosts []string, token string) *guard {
	g := &guard{listen: listen}
	g.admit(hosts, token)
	return g
}

func (g *guard) admit(hosts []string, token string) {
	a := &admission{hosts: map[string]bool{"localhost": true}, token: sha256.Sum256([]byte(token)), asks: token != ""}
	for _, h := range append(slices.Clone(hosts), g.listen) {
		if h = plainHost(h); h != "" {
			a.hosts[h] = true
		}
	}
	g.admission.Store(a)
}

func (g *guard) wrap(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		a := g.admission.Load()
		switch {
		case !a.knows(r):
			http.Error(w, fmt.Sprintf("The status page does not answer to the name %q.\n"+
				"Ask for it by its address, or add the name to the hosts of the web section in the configuration.", r.Host),
				http.StatusMisdirectedRequest)
		case !a.admits(r):
			h.Set("WWW-Authenticate", `Basic realm="Fieldpost: any name, the token as password", charset="UTF-8"`)
			http.Error(w, "The token of the configuration's web section is needed: as the password, or as a bearer token.", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows reports whether the request was meant for this page. A foreign site that has its name resolve to our address
// (DNS rebinding) still sends its own name.
func (g *admission) knows(r *http.Request) bool {
	host := plainHost(r.Host)
	if g.hosts[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.IsLoopback() {
		return true
	}
	// The address on which the connection came in; with it a page that listens everywhere is usable.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap() == ip.Unmap()
}

// admits checks the token. The health checks need none: what asks them often can't hold a secret.
func (g *admission) admits(r *http.Request) bool {
	if !g.asks || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
		return true
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		_, given, ok = r.BasicAuth()
	}
	sum := sha256.Sum256([]byte(given))
	return ok && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// plainHost strips a host of its port, brackets and final dot.
func plainHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// loopback reports whether only this machine reaches a host to listen on.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
