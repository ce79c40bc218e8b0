package source

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// guard lets a request through that addresses this listener by a name of its
// own (a foreign page could give its name our address), that no foreign page
// has sent, and that carries the token.
func (s *HTTP) guard(address string, next http.Handler) http.Handler {
	own := []string{"localhost", bareHost(address)}
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admission := s.admission.Load()
		if !addressed(r, own) && !addressed(r, admission.hosts) {
			fail(w, http.StatusForbidden, "forbidden", "this listener is not known as "+r.Host, "address it by its IP address")
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			fail(w, http.StatusForbidden, "forbidden", "the request comes from a page of another origin", "send it from a program")
			return
		}
		if admission.asks {
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			got := sha256.Sum256([]byte(token))
			if subtle.ConstantTimeCompare(got[:], admission.token[:]) != 1 {
				w.Header().Set("WWW-Authenticate", `Bearer realm="fieldpost"`)
				fail(w, http.StatusUnauthorized, "unauthorized", "the token is missing or wrong", "send the header Authorization: Bearer TOKEN with the token of sources.http")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// addressed reports whether the request's Host is an IP address that the
// connection came in on, a loopback address, or one of the names.
func addressed(r *http.Request, names []string) bool {
	host := bareHost(r.Host)
	if slices.Contains(names, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ip.IsLoopback() || local != nil && bareHost(local.String()) == host
}

// bareHost strips a host of port, brackets and a final dot.
func bareHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}
