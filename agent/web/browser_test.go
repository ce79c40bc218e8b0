package web_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/agent/web"
	"github.com/fieldpost/fieldpost/internal/browser"
)

// These tests look at the page in a browser. With FIELDPOST_SCREENSHOTS=FOLDER they also leave pictures there.

const token = "correct horse"

// views are a phone and a desk, by day and by night.
var views = []browser.View{{Width: 360, Height: 740}, {Width: 360, Height: 740, Dark: true}, {Width: 1280, Height: 900}, {Width: 1280, Height: 900, Dark: true}}

// full is the status of an agent that has something to show everywhere.
func full(now time.Time) agent.Status {
	st := healthy(now)
	st.Link.Release = "proof"
	st.Link.Keepalive = &agent.KeepaliveStatus{IntervalSeconds: 540, Learned: true, Network: "CMNET 46000", ProvenSeconds: to(540), TooLongSeconds: to(660), Lost: 2}
	st.Usage = &agent.UsageStatus{
		MonthBytes: 7_812_330, ForecastBytes: to[int64](21_400_000), BudgetBytes: to[int64](30_000_000), ReserveBytes: to[int64](2_000_000),
		MonthEnds: to(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)),
		Today:     &usage.Span{From: "2026-03-01", Up: usage.Bytes{Payload: 200_000}, Down: usage.Bytes{TCPIP: 61_000}},
		Month: &usage.Span{
			From: "2026-03-01", Messages: 48_300, Prefixes: map[string]int64{"pump-07/pressure": 2_000_000},
			Up:   usage.Bytes{Payload: 2_900_000, Topic: 910_000, MQTT: 320_000, TLS: 1_000_000, TCPIP: 1_400_000, Keepalive: 8_000, Connect: 41_000, Repeats: 3_330},
			Down: usage.Bytes{MQTT: 120_000, TLS: 300_000, TCPIP: 790_000, Keepalive: 5_000, Connect: 15_000},
		},
	}
	st.Sources[0].LastValue = `{"bar":4.21,"t":18.5}`
	st.Presence = &agent.PresenceStatus{Topic: "pump-07/status", State: "online", Published: 4, Bytes: 312}
	st.Queue.Dropped["poison"] = 1
	return st
}

var logged = []string{
	`{"level":"info","version":"1.2.3","device":"pump-07","time":"2026-03-01T09:00:00Z","message":"started"}`,
	`{"level":"warn","error":"searching for a network","retry":"30s","time":"2026-03-01T09:30:00Z","message":"no session"}`,
	`{"level":"error","source":"http","error":"the port is taken","time":"2026-03-01T10:00:01Z","message":"a source has failed"}`,
	`{"level":"info","broker":"mqtts://broker.example:8883","time":"2026-03-01T10:00:00Z","message":"connected"}`,
}

// page serves a status on a real port.
func page(t *testing.T, cfg web.Config) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return "http://" + l.Addr().String() + "/"
}

// aDay plays what a board shows for a day, so that there is something to draw.
func aDay(b *board, now time.Time) func() agent.Status {
	var mu sync.Mutex
	minute := -24 * 60
	return func() agent.Status {
		mu.Lock()
		defer mu.Unlock()
		minute = min(minute, 0)
		at := now.Add(time.Duration(minute) * time.Minute)
		st := b.at(at)
		st.Delivery.Delivered = uint64(48208 + 33*minute)
		st.Link.Modem.SignalDBm = to(-79 + minute/7%9 - minute/31%5)
		if minute > -700 && minute < -420 {
			st.Link.Connected, st.Link.Modem.SignalDBm = false, nil
			st.Queue.Messages, st.Delivery.Delivered = uint64(33*(minute+700)), 48208-33*700
		} else if minute >= -420 && minute < -300 {
			st.Queue.Messages, st.Delivery.Delivered = uint64(-77*(minute+300)), uint64(48208-33*700+110*(minute+420))
		}
		minute++
		return st
	}
}

func TestPageInABrowser(t *testing.T) {
	b := browser.Start(t)
	for name, st := range map[string]agent.Status{"full": full(noon), "searching": searching(noon), "empty": {Device: "pump-07", Time: noon}} {
		shown := &board{st: st}
		cfg := web.Config{Status: func() agent.Status { return shown.at(noon) }, Logged: func() []string { return logged }, Token: token,
			Actions: []web.Action{{Name: "reconnect", Label: "Reconnect now"}, {Name: "restart-module", Label: "Restart the module"}}}
		if name == "full" {
			cfg.Status, cfg.PointEvery = aDay(shown, noon), 500*time.Microsecond
		}
		url := page(t, cfg)
		for _, v := range views {
			v.Headers = map[string]string{"Authorization": "Bearer " + token}
			p := b.Open(url, v)
			p.WaitFor(`document.documentElement.classList.contains("live")`)
			check(t, p, fmt.Sprintf("%s, %v", name, v), v.Width)
			if dir := os.Getenv("FIELDPOST_SCREENSHOTS"); dir != "" {
				p.Screenshot(filepath.Join(dir, strings.ReplaceAll(fmt.Sprintf("page-%s-%v.png", name, v), " ", "-")), true)
			}
			p.Close()
		}
	}
}

// check looks at everything that has to hold of each page.
func check(t *testing.T, p *browser.Page, what string, width int) {
	t.Helper()
	for _, complaint := range p.Complaints() {
		t.Errorf("%s: the browser complains: %s", what, complaint)
	}
	for _, fault := range browser.Faults(p.Nodes()) {
		t.Errorf("%s: to a listener: %s", what, fault)
	}
	for _, faint := range p.Faint() {
		t.Errorf("%s: faint: %s", what, faint)
	}
	var wide []string
	p.Eval(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + .5 && !e.closest(".unseen, .skip, thead"))
		.map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))`, &wide)
	if len(wide) > 0 {
		t.Errorf("%s: reaches beyond %d pixels: %q", what, width, wide)
	}
	var small []string
	p.Eval(`[...document.querySelectorAll("button")].filter(e => e.offsetHeight < 44).map(e => e.textContent)`, &small)
	if len(small) > 0 {
		t.Errorf("%s: too small for a finger: %q", what, small)
	}
}

// Everything that can be used can be reached with Tab, in reading order, and shows that it was.
func TestPageByKeyboard(t *testing.T) {
	b := browser.Start(t)
	asked := make(chan string, 1)
	url := page(t, web.Config{Status: func() agent.Status { return full(noon) }, Token: token, Actions: []web.Action{
		{Name: "reconnect", Label: "Reconnect now", Done: "The agent connects anew.", Run: func(context.Context) error { asked <- "reconnect"; return nil }},
		{Name: "restart-module", Label: "Restart the module", Ask: "Sure?", Done: "No.", Run: func(context.Context) error { asked <- "restart"; return nil }},
	}})
	p := b.Open(url, browser.View{Width: 1280, Height: 900, Headers: map[string]string{"Authorization": "Bearer " + token}})
	var reached []string
	for range 7 {
		p.Press("Tab")
		var focus struct {
			Text    string
			Outline float64
			Seen    bool
		}
		p.Eval(`(() => { const e = document.activeElement, r = e.getBoundingClientRect();
			return {Text: e.textContent, Outline: parseFloat(getComputedStyle(e).outlineWidth), Seen: r.right > 0 && r.bottom > 0}; })()`, &focus)
		if focus.Outline < 2 || !focus.Seen {
			t.Errorf("%q has the focus and doesn't show it: %+v", focus.Text, focus)
		}
		reached = append(reached, focus.Text)
	}
	if got, want := strings.Join(reached, ", "), "Skip to the status, Reconnect now, Restart the module, status as JSON, metrics, healthz, readyz"; got != want {
		t.Errorf("reached with Tab: got %s, want %s", got, want)
	}

	p.Eval(`document.querySelector(".skip").focus()`, nil)
	p.Press("Enter")
	p.WaitFor(`document.activeElement.id === "main"`)
	p.Press("Tab")
	p.Press("Enter")
	p.WaitFor(`document.getElementById("done").textContent === "The agent connects anew."`)
	if got := <-asked; got != "reconnect" {
		t.Errorf("done: got %s, want reconnect", got)
	}
	p.Eval(`window.confirm = question => { document.title = question; return false; }`, nil)
	p.Press("Tab")
	p.Press("Enter")
	p.WaitFor(`document.title === "Sure?"`)
	if len(asked) > 0 {
		t.Error("done although the reader said no")
	}
	for _, complaint := range p.Complaints() {
		t.Errorf("the browser complains: %s", complaint)
	}
}

// What an agent tells must not become part of the page.
func TestHostileTextInABrowser(t *testing.T) {
	evil := hostile(noon)
	shown := &board{st: evil}
	url := page(t, web.Config{Status: shown.status, Logged: func() []string { return []string{evil.Reason, `{"message":"<img src=x onerror=alert(1)>"}`} }})
	p := browser.Start(t).Open(url, browser.View{Width: 360, Height: 740})
	evil.Delivery.Delivered++
	shown.set(evil)
	p.WaitFor(`document.body.innerText.includes("48\u202f209")`)
	var foreign int
	p.Eval(`document.querySelectorAll("main img, main script, [onerror], [onmouseover]").length`, &foreign)
	if foreign > 0 {
		t.Errorf("%d things on the page that aren't its own", foreign)
	}
	for _, complaint := range p.Complaints() {
		t.Errorf("the browser complains: %s", complaint)
	}
}
