package web_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

// pageOf is the page of a status as a browser without JavaScript gets it.
func pageOf(t *testing.T, st agent.Status) string {
	t.Helper()
	w := ask(newServer(t, web.Config{Status: func() agent.Status { return st }}), "GET", "/", nil)
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("GET /: got %d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	return w.Body.String()
}

// text strips a page of its tags and folds its white space.
func text(page string) string {
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")
	return strings.ReplaceAll(strings.Join(strings.Fields(page), " "), " .", ".")
}

func wantInOrder(t *testing.T, got string, want ...string) {
	t.Helper()
	rest := got
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Errorf("the page lacks %q after what came before it:\n%s", w, got)
			return
		}
		rest = after
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestPageOfAHealthyAgent(t *testing.T) {
	wantInOrder(t, text(pageOf(t, healthy(noon))),
		"pump-07", "Fieldpost 1.2.3",
		"Connected", "Connected for 2 h; 3 messages wait.",
		"Power works 2 h", "SIM works 2 h", "Registration works", "MQTT works",
		"3 messages", "512 KiB of 1 MiB", "the oldest from 1 min 30 s ago", "Alarm 1", "Normal 2", "Bulk 0", "expired 12",
		"Accepted 48 211", "Delivered 48 208", "On the way 2", "Repeated 6", "Refused 5", "Last delivered 4 s ago 11:59:56", "In one message 48.0 22 % of their bytes",
		"Operator Example Mobile home", "Signal −79 dBm good", "Module M95", "Address 10.0.0.7", "Broker mqtts://broker.example:8883",
		"Sessions 4", "Stream 2 KiB up, 1 KiB down",
		"mqtt 127.0.0.1:1884", "2 s ago", "pump-07/pressure", "48 100", "http", "the port is taken", "none yet",
		"09:30:00", "30 min", "No network", "searching for a network",
		"As of Sunday, 1 March 2026, 12:00:00 UTC; started 3 h ago.")
}

func TestPageSaysWhereTheLinkStands(t *testing.T) {
	page := pageOf(t, searching(noon))
	wantInOrder(t, text(page), "Connecting", "Registration: searching for 12 min; 3 messages wait.",
		"SIM works", "Registration under way 12 min", "MQTT its turn has not come",
		"Registration, for 12 min: searching for a network. Next attempt in 1 min 35 s.")
	if got := strings.Count(page, `aria-current="step"`); got != 1 {
		t.Errorf("steps marked as the current one: got %d, want 1", got)
	}
}

func TestPageOfOtherVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*agent.Status)
		want   []string
	}{
		"blocked": {func(st *agent.Status) {
			st.Verdict, st.Reason = agent.VerdictBlocked, "the SIM asks for its PIN"
			st.Link.Connected = false
			st.Link.Steps[1].State, st.Link.Steps[1].Why = agent.StepFailed, "the PIN was refused, what now?"
		}, []string{"Needs attention", "The SIM asks for its PIN.", "SIM failed", "SIM, for 2 h: the PIN was refused, what now?"}},
		"interrupted": {func(st *agent.Status) {
			st.Verdict = agent.VerdictConnecting
			st.Link.Steps[2].State, st.Link.Steps[2].Why = agent.StepWaiting, "searching"
		}, []string{"Interrupted", "Registration, for 2 h: searching."}},
		"stopped": {func(st *agent.Status) { st.Verdict = agent.VerdictStopped }, []string{"Stopped"}},
		"storage": {func(st *agent.Status) { st.Queue.Error = "input/output error" }, []string{"Waiting on disk", "input/output error"}},
		"damaged file": {func(st *agent.Status) {
			st.Queue.Recovery = &agent.RecoveryStatus{Damage: "checksum", SetAside: "/data/queue.db.damaged-1", Saved: 1204, Lost: 3}
			st.Queue.Dropped = map[string]uint64{"purged": 1, "damaged": 3, "full": 2}
		}, []string{"Waiting on disk", "damaged: 1 204 saved, 3 lost. It is now /data/queue.db.damaged-1.", "damaged 3", "full 2", "purged 1"}},
		"a message that nothing gets past": {func(st *agent.Status) {
			st.Delivery.PassedOver = []agent.SuspectStatus{{Seq: 17, Topic: "site/pump", Since: noon.Add(-time.Hour)}}
			st.Delivery.SetAside = &agent.SuspectStatus{Seq: 9, Topic: "site/log", Since: noon.Add(-time.Minute)}
		}, []string{"Passed over by others", "Message 17", "site/pump", "for 1 h", "last set aside", "message 9 on site/log", "1 min ago"}},
		"outage that lasts": {func(st *agent.Status) {
			st.Outages = []agent.Outage{{From: noon.Add(-time.Hour), Cause: agent.CausePIN}}
		},
			[]string{"Last outages", "11:00:00", "1 h still", "PIN"}},
		"own network": {func(st *agent.Status) { st.Link.Kind, st.Link.Modem = "system", nil },
			[]string{"Way the machine&#39;s own network"}},
		"module is silent": {func(st *agent.Status) { st.Link.Modem = nil }, []string{"Way module, no answer yet"}},
		"nothing known": {func(st *agent.Status) { *st = agent.Status{Time: noon} },
			[]string{"Connecting", "0 messages", "0 B of 0 B", "Last delivered not yet", "No source is configured", "None since the start."}},
	} {
		t.Run(name, func(t *testing.T) {
			st := healthy(noon)
			test.change(&st)
			wantInOrder(t, text(pageOf(t, st)), test.want...)
		})
	}
}

// hostile has in every text what an attacker would put there.
func hostile(now time.Time) agent.Status {
	const evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' onmouseover=alert(1) \r\n\r\nevent: evil\r\ndata: x\u2028\u202e\x00\xff{{.}}"
	st := searching(now)
	st.Delivery.PassedOver, st.Delivery.SetAside = []agent.SuspectStatus{{Topic: evil}}, &agent.SuspectStatus{Topic: evil}
	st.Device, st.Version, st.Reason = evil, evil, evil
	st.Link.Kind, st.Link.Broker, st.Link.Steps[2].Why = evil, evil, evil
	st.Link.Modem = &agent.ModemStatus{Model: evil, Operator: evil, Registration: evil, IP: evil}
	st.Queue.Error = evil
	st.Queue.Lanes = map[string]uint64{evil: 1}
	st.Queue.Dropped = map[string]uint64{evil: 1}
	st.Sources = []agent.SourceStatus{{Name: evil, Address: evil, LastTopic: evil, Error: evil, LastAt: &now}}
	st.Outages = []agent.Outage{{From: now, Cause: evil, Why: evil}}
	return st
}

func TestPageEscapesHostileText(t *testing.T) {
	page := pageOf(t, hostile(noon))
	for _, bad := range []string{"<script>", "<img", "\r", "\x00", "\u202e", "\xff"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page carries %q as it came", bad)
		}
	}
	if !strings.Contains(page, "&lt;img src=x onerror=alert(1)&gt;") {
		t.Error("the hostile text does not show at all")
	}
	for _, tag := range regexp.MustCompile(`<[a-z][^>]*>`).FindAllString(page, -1) {
		if regexp.MustCompile(`"\s+on[a-z]+=`).MatchString(tag) {
			t.Errorf("a tag with a handler: %s", tag)
		}
	}
}

// The policy forbids it all; a page that has it would be broken.
func TestPageHasNothingInlineAndNothingForeign(t *testing.T) {
	page := pageOf(t, healthy(noon))
	for name, bad := range map[string]string{
		"script":   `<script>|<script [^>]*[^r]>[^<]`,
		"style":    `<style|\sstyle=`,
		"handler":  `\son[a-z]+=`,
		"far host": `(src|href)="(https?:)?//`,
	} {
		if found := regexp.MustCompile(bad).FindString(page); found != "" {
			t.Errorf("%s in the page: %q", name, found)
		}
	}
}

func TestPageIsLabelled(t *testing.T) {
	page := pageOf(t, healthy(noon))
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("id %q comes twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`aria-labelledby="([^"]*)"|href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if id := m[1] + m[2]; !ids[id] {
			t.Errorf("nothing has the id %q that is referred to", id)
		}
	}
	for _, section := range regexp.MustCompile(`<section[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(section, "aria-labelledby=") {
			t.Errorf("a section without a name: %s", section)
		}
	}
	for _, want := range []string{`<html lang="en">`, `name="viewport"`, `role="status" aria-live="polite"`, `<noscript><meta http-equiv="refresh"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestChartsRememberADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		server := newServer(t, web.Config{Status: b.status})
		_, stop := serve(t, server)
		charts := func() string {
			t.Helper()
			synctest.Wait()
			return ask(server, "GET", "/", nil).Body.String()
		}
		wantInOrder(t, charts(), "Waiting messages over the last 1 h: 3 now, 3 at most",
			"Signal over the last 1 h: −79 dBm now, −79 dBm at the weakest")

		// Half a minute before a look, so that it is clear which one sees the change.
		time.Sleep(3*time.Hour - 30*time.Second)
		down := searching(time.Now())
		down.Queue.Messages, down.Link.Modem.SignalDBm = 1204, to(-109)
		b.set(down)
		time.Sleep(time.Hour)
		b.set(healthy(time.Now()))
		time.Sleep(time.Hour + time.Minute)
		page := charts()
		wantInOrder(t, page, "Waiting messages over the last 6 h: 3 now, 1\u202f204 at most",
			// An hour of six is 40 columns of 240, and the one in which it ends.
			`<rect class="out" x="159" width="41" height="100"></rect>`, "2\u202f000", "not connected",
			"Signal over the last 6 h: −79 dBm now, −109 dBm at the weakest")

		b.set(healthy(time.Now()))
		time.Sleep(23*time.Hour + 30*time.Minute)
		page = charts()
		wantInOrder(t, page, "over the last 24 h: 3 now, 3 at most")
		if strings.Contains(page, "not connected") {
			t.Error("the outage shows after more than a day")
		}
		stop()
	})
}

func TestChartsWithoutModem(t *testing.T) {
	st := healthy(noon)
	st.Link.Modem = nil
	if page := pageOf(t, st); strings.Contains(page, "dBm") {
		t.Error("the page speaks of a signal where there is no module")
	}
}
