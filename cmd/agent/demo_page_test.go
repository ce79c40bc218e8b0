package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/internal/browser"
)

// A person watches the demo on its status page while the coverage is lost and comes back. With FIELDPOST_SCREENSHOTS=FOLDER the
// test leaves the pictures of docs/ there.
func TestDemoOnThePage(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	address := freePort(t)
	// Few readings, so that the share of them at which the coverage is lost comes early.
	start(t, "demo", path, "demo", "--messages", "150", "--seed", "4", "--listen", address)
	awaitPort(t, address)
	p := browser.Start(t).Open("http://"+address+"/", browser.View{Width: 1280, Height: 1080})

	const verdict = `document.querySelector("#verdict h2").textContent`
	p.WaitFor(verdict + ` === "Connected" && document.querySelectorAll(".chain .ok").length === document.querySelectorAll(".chain li").length`)
	p.WaitFor(verdict + ` !== "Connected" && document.querySelector(".chain .here")`)
	p.WaitFor(`Number(document.querySelector(".big").firstChild.data) >= 20 && document.querySelector("#lists .log li")`)
	if title := valueOn(p, "document.title"); strings.HasPrefix(title, "Connected") || !strings.HasSuffix(title, " · demo") {
		t.Errorf("the title doesn't follow: %q", title)
	}
	if said := valueOn(p, `document.getElementById("said").textContent`); said == "" {
		t.Error("a screen reader isn't told that the connection is interrupted")
	}
	for _, want := range []string{"Waiting on disk", "Data plan", "Readings", "not connected", "Last value", `"value":`, "Last outages", "Log"} {
		if !strings.Contains(p.Text(), want) {
			t.Errorf("the page lacks %q:\n%s", want, p.Text())
		}
	}
	pictures(p)
	p.WaitFor(verdict + ` === "Connected"`)
	if !strings.Contains(p.Text(), "at most") {
		t.Error("the charts don't show")
	}
	for _, complaint := range p.Complaints() {
		t.Errorf("the browser complains: %s", complaint)
	}
}

func pictures(p *browser.Page) {
	dir := os.Getenv("FIELDPOST_SCREENSHOTS")
	if dir == "" {
		return
	}
	p.Screenshot(filepath.Join(dir, "status-page.png"), false)
	p.Look(browser.View{Width: 360, Height: 740})
	p.Screenshot(filepath.Join(dir, "status-page-phone.png"), false)
	p.Look(browser.View{Width: 1280, Height: 1080})
}

func valueOn(p *browser.Page, expression string) (s string) {
	p.Eval(expression, &s)
	return s
}

// awaitPort waits until somebody listens.
func awaitPort(t *testing.T, address string) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("nobody listens on %s: %v", address, err)
		}
	}
}
