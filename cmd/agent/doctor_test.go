package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestDoctorFinds breaks one link of the chain at a time, with no agent running, and wants the check, its cause and its fix.
func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	nobody := "127.0.0.1:1"
	plain := startMosquitto(t, "")
	authority := newAuthority(t, "ours")
	secure := startMosquitto(t, authority.server())
	guarded := startMosquitto(t, "allow_anonymous false")
	modem := func(cfg gsmsim.Config, broker string) string {
		_, port := simulated(t, cfg)
		return fmt.Sprintf("modem: {port: %s, apn: internet.example}\nbroker: {url: \"%s\"}\n", port, broker)
	}
	system := func(broker string) string { return "link: system\nbroker: {url: \"" + broker + "\"}\n" }
	for _, tc := range []struct {
		name, rest, check, want string
		before                  string // a check that has passed before it
	}{
		{"no port", "modem: {port: /dev/no-such-modem}\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n", "port", "does not exist", ""},
		{"off", modem(gsmsim.Config{Off: true}, "mqtt://"+nobody), "at", "no answer to AT", "lock"},
		{"no SIM", modem(gsmsim.Config{SIM: gsmsim.SIM{Absent: true}}, "mqtt://"+nobody), "sim", "SIM", "at"},
		{"PIN wanted", modem(gsmsim.Config{SIM: gsmsim.SIM{PIN: "4711"}}, "mqtt://"+nobody), "sim", "PIN", "at"},
		{"context refused", modem(gsmsim.Config{Faults: gsmsim.Faults{RefuseActivate: true}}, "mqtt://"+nobody), "ip", "APN", "attach"},
		{"no name", modem(gsmsim.Config{Faults: gsmsim.Faults{DNSFails: true}}, "mqtt://broker.example"), "dns", "broker.example", "ip"},
		{"nobody listens", modem(gsmsim.Config{}, "mqtt://"+nobody), "tcp", "", "ip"},
		{"name, system", system("mqtt://broker.invalid"), "dns", "broker.invalid", ""},
		{"nobody listens, system", system("mqtt://" + nobody), "tcp", "refused", ""},
		{"another CA", system("mqtts://" + secure.addr), "tls", "certificate", "tcp"},
		{"no TLS there", system("mqtts://" + plain.addr), "tls", "", "tcp"},
		{"not authorised", system("mqtt://" + guarded.addr), "mqtt", "not authorised", "tcp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, tc.rest)
			if err := os.Mkdir(s.data, 0o700); err != nil {
				t.Fatal(err)
			}
			stdout, stderr, code := call(t, "doctor", "--config", s.conf)
			if code != exitFailed {
				t.Errorf("exit code %d, want %d: %s", code, exitFailed, stderr)
			}
			says(t, stdout, fmt.Sprintf("x %-13s ", tc.check), tc.want, "fix: "+fixes[tc.check])
			if tc.before != "" {
				says(t, stdout, "+ "+tc.before+" ")
			}
			if got := strings.Count(stdout, "fix:"); got != 1+strings.Count(stdout, "x signal") {
				t.Errorf("%d fixes:\n%s", got, stdout)
			}
		})
	}
}

func TestDoctorAsJSON(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://"+broker.addr+"\"}\n")
	stdout, stderr, code := call(t, "doctor", "--json", "--config", s.conf)
	got := decode(t, stdout)
	var names []string
	for _, c := range got["checks"].([]any) {
		names = append(names, c.(map[string]any)["check"].(string)+" "+c.(map[string]any)["state"].(string))
	}
	if d := cmp.Diff([]string{"dns skipped", "tcp ok", "mqtt ok", "puback ok"}, names); d != "" {
		t.Error(d)
	}
	if code != 0 || got["ok"] != true || got["source"] != "direct" || got["schema"] != float64(1) {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

// TestDoctorTellsTheAgentsState: each step that the agent can be stuck at.
func TestDoctorTellsTheAgentsState(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dbm := -110
	steps := []agent.Step{agent.StepPort, agent.StepPower, agent.StepSIM, agent.StepRegistration, agent.StepAttach, agent.StepIP, agent.StepTCP, agent.StepMQTT}
	for _, tc := range []struct {
		stuck agent.Step
		state agent.StepState
		cause agent.Cause
		want  string // the checks that failed
	}{
		{agent.StepPort, agent.StepFailed, agent.CausePort, "port"},
		{agent.StepSIM, agent.StepFailed, agent.CausePIN, "sim"},
		{agent.StepAttach, agent.StepWaiting, agent.CauseAttach, "signal attach"},
		{agent.StepTCP, agent.StepFailed, agent.CauseDNS, "signal dns"},
		{agent.StepTCP, agent.StepFailed, agent.CauseTCP, "signal tcp"},
		{agent.StepMQTT, agent.StepFailed, agent.CauseCredentials, "signal mqtt"},
		{"", agent.StepOK, "", "signal"},
	} {
		st := agent.Status{Time: now, Reason: "because"}
		state := agent.StepOK
		for _, s := range steps {
			this := state
			if s == tc.stuck {
				this, state = tc.state, agent.StepIdle
			}
			st.Link.Steps = append(st.Link.Steps, agent.StepStatus{Step: s, State: this, Since: now.Add(-time.Minute)})
		}
		if tc.stuck != "" {
			st.Outages = []agent.Outage{{From: now.Add(-time.Minute), Cause: tc.cause}}
		}
		r := &report{}
		agentChecks(r, st, &control.ModemInfo{SignalDBm: &dbm})
		var failed []string
		for _, c := range r.checks {
			if c.State == checkFailed {
				failed = append(failed, c.Check)
			}
		}
		if got := strings.Join(failed, " "); got != tc.want || !r.failed || len(r.checks) != 13-1 {
			t.Errorf("stuck at %q: failed %q of %d checks, want %q of 12", tc.stuck, got, len(r.checks), tc.want)
		}
	}
}
