package web_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

var paths = []string{"/", "/live", "/assets/page.js", "/assets/page.css", "/assets/icon.svg", "/api/v1/status", "/api/v1/events", "/metrics", "/healthz", "/readyz"}

// bounded ends a request at once, so that streams answer with their first event only.
func bounded(r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	*r = *r.WithContext(ctx)
}

func TestEveryPathAnswersAndIsGuarded(t *testing.T) {
	s := newServer(t, web.Config{})
	for _, path := range paths {
		w := ask(s, "GET", path, bounded)
		if w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("GET %s: got %d with %d bytes, want 200", path, w.Code, w.Body.Len())
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("GET %s: %s: got %q, want %q", path, header, got, want)
			}
		}
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("GET %s: the policy %q lacks %q", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
			t.Errorf("GET %s: the policy %q opens more than the page's own files", path, csp)
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			if w := ask(s, method, path, nil); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: got %d, want %d", method, path, w.Code, http.StatusMethodNotAllowed)
			}
		}
	}
	for _, path := range []string{"/index.html", "/debug/pprof/", "/debug/vars", "/assets/../page/now.html", "/v1/messages/a"} {
		if w := ask(s, "GET", path, nil); w.Code == 200 {
			t.Errorf("GET %s: got 200, want none of it", path)
		}
	}
}

func TestAssetsHaveTheirTypes(t *testing.T) {
	s := newServer(t, web.Config{})
	for path, want := range map[string]string{"/assets/page.js": "text/javascript", "/assets/page.css": "text/css", "/assets/icon.svg": "image/svg+xml"} {
		// With nosniff a browser refuses a script or a style of another type.
		if got := ask(s, "GET", path, nil).Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("GET %s: got type %q, want %q", path, got, want)
		}
	}
}

func TestHost(t *testing.T) {
	s := newServer(t, web.Config{Listen: "0.0.0.0:8080", Hosts: []string{"Box.Example"}, Token: "secret"})
	named := newServer(t, web.Config{Listen: "localhost:8080"})
	for _, test := range []struct {
		s    *web.Server
		host string
		ok   bool
	}{
		{s, "127.0.0.1:8080", true},
		{s, "127.0.0.1", true},
		{s, "127.9.9.9", true},
		{s, "localhost:8080", true},
		{s, "LOCALHOST.:8080", true},
		{s, "[::1]:8080", true},
		{s, "[::1]", true},
		{s, "box.example", true},
		{s, "BOX.example:80", true},
		{s, "192.0.2.7:8080", true}, // on which the connection came in
		{s, "192.0.2.8:8080", false},
		{s, "evil.example", false},
		{s, "box.example.evil.example", false},
		{s, "localhost.evil.example", false},
		{s, "127.0.0.1.evil.example", false},
		{s, "", false},
		{named, "localhost", true},
		{named, "box.example", false},
	} {
		w := ask(test.s, "GET", "/healthz", func(r *http.Request) {
			r.Host = test.host
			local := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 8080}
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
		})
		want := http.StatusOK
		if !test.ok {
			want = http.StatusMisdirectedRequest
		}
		if w.Code != want {
			t.Errorf("host %q: got %d, want %d", test.host, w.Code, want)
		}
		if !test.ok && strings.Contains(w.Body.String(), "connected") {
			t.Errorf("host %q: the status shows", test.host)
		}
	}
}

func TestCrossOriginRequestsAreRefused(t *testing.T) {
	w := ask(newServer(t, web.Config{}), "POST", "/", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if got, want := w.Code, http.StatusForbidden; got != want {
		t.Errorf("a post from another site: got %d, want %d", got, want)
	}
}

func TestToken(t *testing.T) {
	s := newServer(t, web.Config{Listen: "192.0.2.7:8080", Token: "correct horse"})
	for name, test := range map[string]struct {
		path string
		auth func(*http.Request)
		want int
	}{
		"none":           {"/", nil, 401},
		"bearer":         {"/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer correct horse") }, 200},
		"password":       {"/", func(r *http.Request) { r.SetBasicAuth("anyone", "correct horse") }, 200},
		"as the user":    {"/", func(r *http.Request) { r.SetBasicAuth("correct horse", "") }, 401},
		"wrong bearer":   {"/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer correct horse!") }, 401},
		"empty bearer":   {"/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401},
		"wrong password": {"/metrics", func(r *http.Request) { r.SetBasicAuth("anyone", "wrong") }, 401},
		"health":         {"/healthz", nil, 200},
		"ready":          {"/readyz", nil, 200},
		"near health":    {"/healthz/", nil, 401},
	} {
		w := ask(s, "GET", test.path, test.auth)
		if w.Code != test.want {
			t.Errorf("%s: got %d, want %d", name, w.Code, test.want)
		}
		if asked := w.Header().Get("WWW-Authenticate") != ""; asked != (test.want == 401) {
			t.Errorf("%s: asks for the token: got %v", name, asked)
		}
		if test.want == 401 && strings.Contains(w.Body.String(), "pump-07") {
			t.Errorf("%s: the status shows", name)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	status := func() agent.Status { return agent.Status{} }
	for name, test := range map[string]struct {
		cfg  web.Config
		want string
	}{
		"no status":        {web.Config{}, "Status is required"},
		"no port":          {web.Config{Status: status, Listen: "127.0.0.1"}, "with a port"},
		"open, no token":   {web.Config{Status: status, Listen: "0.0.0.0:8080"}, "no token is set"},
		"all, no token":    {web.Config{Status: status, Listen: ":8080"}, "no token is set"},
		"name, no token":   {web.Config{Status: status, Listen: "box.example:8080"}, "no token is set"},
		"open with token":  {web.Config{Status: status, Listen: ":8080", Token: "x"}, ""},
		"loopback":         {web.Config{Status: status, Listen: "[::1]:8080"}, ""},
		"default loopback": {web.Config{Status: status}, ""},
	} {
		_, err := web.New(test.cfg)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestStatus(t *testing.T) {
	want := healthy(noon)
	w := ask(newServer(t, web.Config{Status: func() agent.Status { return want }}), "GET", "/api/v1/status", nil)
	var got agent.Status
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestHealth(t *testing.T) {
	young := func(st agent.Status, age time.Duration) agent.Status {
		st.StartedAt = to(st.Time.Add(-age))
		return st
	}
	failed := healthy(noon)
	failed.Queue.Error, failed.Verdict, failed.Reason = "input/output error", agent.VerdictBlocked, "the storage has failed: input/output error"
	full := healthy(noon)
	full.Queue.Refusing, full.Verdict, full.Reason = "no space left", agent.VerdictBlocked, "readings are refused: no space left"
	for name, test := range map[string]struct {
		st             agent.Status
		healthy, ready int
	}{
		"connected":               {healthy(noon), 200, 200},
		"searching":               {searching(noon), 200, 503},
		"searching, just started": {young(searching(noon), 119*time.Second), 200, 200},
		"searching after grace":   {young(searching(noon), 120*time.Second), 200, 503},
		"storage failed":          {failed, 503, 503},
		"disk full":               {full, 200, 503},
		"storage failed at once":  {young(failed, 0), 503, 503},
	} {
		s := newServer(t, web.Config{Status: func() agent.Status { return test.st }})
		for path, want := range map[string]int{"/healthz": test.healthy, "/readyz": test.ready} {
			w := ask(s, "GET", path, nil)
			var body struct {
				OK     bool   `json:"ok"`
				Reason string `json:"reason"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if w.Code != want || body.OK != (want == 200) || body.Reason != test.st.Reason {
				t.Errorf("%s %s: got %d %+v, want %d with the reason %q", path, name, w.Code, body, want, test.st.Reason)
			}
		}
	}
}

func TestRunOnTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, web.Config{Listen: l.Addr().String()})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "change web.listen") {
		t.Errorf("Run on a taken port: got %v, want what to do", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("GET /healthz: got %s", resp.Status)
	}
	// More in its headers than any client of the page sends.
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Long", strings.Repeat("x", 32<<10))
	if resp, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := resp.StatusCode, http.StatusRequestHeaderFieldsTooLarge; got != want {
		t.Errorf("with long headers: got %d, want %d", got, want)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}
