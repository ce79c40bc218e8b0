package gsmnet

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// The parsers are not exported and have no state: they are tested from inside.

func TestG4_5_ParseAcks(t *testing.T) {
	for line, want := range map[string]acks{
		"+QISACK: 4, 4, 0":                 {4, 4, 0},
		"+QISACK: 1484,1448,36":            {1484, 1448, 36},
		"+QISACK:9,0,9":                    {9, 0, 9},
		"+QISACK: 0, 9, 4, 5":              {9, 4, 5},
		"+QISACK: 5000000000,0,5000000000": {5000000000, 0, 5000000000},
	} {
		if got, err := parseAcks(line); err != nil || got != want {
			t.Errorf("%s: %v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "+QISACK:", "+QISACK: 1,2", "+QISACK: 1,2,3", "+QISACK: 4, 3, 0", "+QISACK: -1, 0, 0",
		"+QISACK: 1, 1, 0, 0", "+QISACK: 99999999999999999999,0,0", "+QISACK: x, 0, 0"} {
		if got, err := parseAcks(line); err == nil {
			t.Errorf("%q was taken for %v", line, got)
		}
	}
}

func TestG2_3_RegistrationReplyOrURC(t *testing.T) {
	for line, c := range map[string]struct {
		reply bool
		stat  int
	}{
		"+CREG: 0,1":                    {true, 1},
		"+CREG:0,5":                     {true, 5},
		"+CREG: 2, 1,\"2842\",\"0461\"": {true, 1},
		"+CREG: 1":                      {false, 1},
		"+CREG: 5":                      {false, 5},
		"+CREG: 1,\"2842\",\"0461\"":    {false, 1},
	} {
		if stat, ok := registration(line, "+CREG:"); ok != c.reply || ok && stat != c.stat {
			t.Errorf("%s as a reply: %d, %v", line, stat, ok)
		}
		if stat, ok := registrationURC(line, "+CREG:"); !c.reply && (!ok || stat != c.stat) {
			t.Errorf("%s as a URC: %d, %v", line, stat, ok)
		}
	}
}

func TestG3_2_SameSetting(t *testing.T) {
	for _, c := range []struct {
		line, want string
		same       bool
	}{
		{"+QIMUX: 0", "0", true},
		{"+QIMUX: 1", "0", false},
		{`+QICSGP: 1, "cmnet"`, `1,"CMNET"`, true},
		{`+QICSGP: 1,"cmnet","","",0`, `1,"CMNET"`, true},
		{`+QICSGP: 1,"other"`, `1,"CMNET"`, false},
		{"+QICSGP: 1", `1,"CMNET"`, false},
	} {
		prefix, _, _ := strings.Cut(c.line, " ")
		f, ok := fields(c.line, prefix)
		if !ok || sameSetting(f, c.want) != c.same {
			t.Errorf("%s against %s: want %v", c.line, c.want, c.same)
		}
	}
}

func TestRepliesWithoutOK(t *testing.T) {
	for _, c := range []struct {
		accept func(string) at.Verdict
		line   string
		want   at.Verdict
	}{
		{addressReply, "10.12.34.56", at.Done},
		{addressReply, "OK", at.Bare},
		{addressReply, "ERROR", at.Failed},
		{stateReply, "OK", at.Bare},
		{stateReply, "STATE: IP INITIAL", at.Done},
		{deactReply, "DEACT OK", at.Done},
		{deactReply, "OK", at.More},
		{deactReply, "+CME ERROR: 3", at.Failed},
		{sendReply, "SEND OK", at.Done},
		{sendReply, "SEND FAIL", at.Failed},
		{sendReply, "OK", at.Foreign},
		{digits(10), "89860000000000000018", at.Told},
		{digits(14), "RDY", at.Foreign},
	} {
		if got := c.accept(c.line); got != c.want {
			t.Errorf("%q: %v, want %v", c.line, got, c.want)
		}
	}
}

func TestG9_4_ClockThatWasSetBack(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := memory{stored: stored{Restarts: 1, Last: now.Add(24 * time.Hour)}}
	if got := m.restartIn(guideSpacing, now); got != 10*time.Minute {
		t.Errorf("wait %v, want the whole 10 minutes", got)
	}
	if got := m.restartIn(guideSpacing, now.Add(4*time.Minute)); got != 6*time.Minute {
		t.Errorf("wait %v, want 6 minutes", got)
	}
}

func TestG9_4_SpacingIsASetting(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	custom := []time.Duration{2 * time.Minute, 5 * time.Minute}
	for restarts, want := range map[int][2]time.Duration{
		0: {0, 0}, 1: {10 * time.Minute, 2 * time.Minute}, 2: {30 * time.Minute, 5 * time.Minute},
		3: {time.Hour, 5 * time.Minute}, 9: {time.Hour, 5 * time.Minute},
	} {
		m := memory{stored: stored{Restarts: restarts, Last: now}}
		got := [2]time.Duration{m.restartIn(Config{}.withDefaults().Spacing, now), m.restartIn(custom, now)}
		if got != want {
			t.Errorf("after %d restarts: %v, want %v", restarts, got, want)
		}
	}
}

// TestClockDatesThatCantBe: what a module says before the network has told it the time, and what is no date.
func TestClockDatesThatCantBe(t *testing.T) {
	for line, want := range map[string]string{
		`+CCLK: "26/05/04,08:32:01+22"`:    "2026-05-04T03:02:01Z",
		`+CCLK:"26/05/04,03:02:01-04"`:     "2026-05-04T04:02:01Z",
		`+CCLK: "26/05/04,03:02:01"`:       "2026-05-04T03:02:01Z",
		`+CCLK: "26/05/04,03:02:01+00,0"`:  "2026-05-04T03:02:01Z",
		`+CCLK: "04/01/01,00:10:00+00"`:    "",
		`+CCLK: "80/01/06,00:00:14+22"`:    "", // 2080, read as Go reads it, or 1980
		`+CCLK: "26/13/04,03:02:01+00"`:    "",
		`+CCLK: "26/05/04,03:02:01+9999"`:  "",
		`+CCLK: "26/05/04"`:                "",
		`+QNITZ: "26/05/04,03:02:01+00,0"`: "",
	} {
		got, ok := parseClock(line, "+CCLK:")
		if ok != (want != "") || ok && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v, want %q", line, got, ok, want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, s := range []string{"+QISACK: 1,1,0", "+CREG: 1,\"2842\",\"0461\"", "STATE: IP INITIAL", "10.0.0.1", "+CSQ: 28, 0", `+COPS: 0,0,"X"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if a, err := parseAcks(line); err == nil && (a.acked > a.sent || a.sent-a.acked != a.unacked) {
			t.Errorf("%q gives %v", line, a)
		}
		registration(line, "+CREG:")
		registrationURC(line, "+CREG:")
		parseState(line)
		addressReply(line)
		digits(10)(line)
		var i Info
		i.takeSignal([]string{line})
		i.takeOperator([]string{line})
		i.takeRegistration([]string{line})
		i.takeIdentity([]string{line})
		if i.SignalDBm != nil && (*i.SignalDBm < -113 || *i.SignalDBm > -51) {
			t.Errorf("%q gives %d dBm", line, *i.SignalDBm)
		}
	})
}
