package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// patience bounds each answer of the browser, on a slow machine that is busy with other tests.
const patience = 60 * time.Second

// Browser is a running Chromium.
type Browser struct {
	t     testing.TB
	wire  *wire
	pages map[string]*Page // by session
}

// Start starts Chromium; the test fails if it isn't installed.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: scripts/test installs it (apt-get install chromium)")
	}
	// Not t.TempDir: processes of the browser write for a moment after its end, which would fail the test.
	profile, err := os.MkdirTemp("", "fieldpost-browser")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe", "--user-data-dir="+profile, "about:blank")
	w, err := startWired(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.close()
		_ = cmd.Wait() // it was killed
		for range 20 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return &Browser{t: t, wire: w, pages: make(map[string]*Page)}
}

// call asks the browser, or with a session one of its pages, and reads the answer into result unless that is nil.
func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	answer, err := b.wire.call(session, method, params, b.note)
	if err != nil {
		b.t.Fatalf("browser: %s: %v", method, err)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer, result); err != nil {
		b.t.Fatalf("browser: %s: answer %.200s: %v", method, answer, err)
	}
}

// note hands an event to the page that it is of.
func (b *Browser) note(m message) {
	if p := b.pages[m.SessionID]; p != nil {
		p.note(m)
	}
}

// View is how a page is looked at.
type View struct {
	Width, Height int
	Scale         float64 // pixels of the screen for each of the page; 0 means 1
	Dark          bool
	Headers       map[string]string // sent with each request
}

// Open opens a page and waits until it has loaded.
func (b *Browser) Open(url string, v View) *Page {
	b.t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Page{browser: b, session: attached.SessionID, target: target.TargetID}
	b.pages[p.session] = p
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Accessibility", "Audits"} {
		p.call(domain+".enable", nil, nil)
	}
	p.call("Network.setExtraHTTPHeaders", map[string]any{"headers": nonNil(v.Headers)}, nil)
	p.Look(v)
	var navigated struct {
		Error string `json:"errorText"`
	}
	p.call("Page.navigate", map[string]any{"url": url}, &navigated)
	if navigated.Error != "" {
		b.t.Fatalf("browser: opening %s: %s", url, navigated.Error)
	}
	p.WaitFor(`document.readyState === "complete"`)
	return p
}

func nonNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (v View) scheme() string {
	if v.Dark {
		return "dark"
	}
	return "light"
}

func (v View) String() string { return fmt.Sprintf("%d pixels wide, %s", v.Width, v.scheme()) }
