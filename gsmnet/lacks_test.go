package gsmnet_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// within is how long a module that lacks something may take to its first connection: what is missing costs a few seconds, none of the
// limits after which it would be restarted.
const within = 40 * time.Second

// TestFM23_ModulesThatLackCommands: what the guide's text can do without is gone without, and what is sent arrives.
func TestFM23_ModulesThatLackCommands(t *testing.T) {
	refuses := func(names ...string) gsmsim.Model { return gsmsim.Model{Refuses: names} }
	untold := func(names ...string) gsmsim.Model { return gsmsim.Model{Untold: names} }
	for name, model := range map[string]gsmsim.Model{
		"QIREGAPP, QIACT, QILOCIP": refuses("+QIREGAPP", "+QIACT", "+QILOCIP"),
		"QILOCIP":                  refuses("+QILOCIP"),
		"QISTAT":                   refuses("+QISTAT"),
		"IPR?":                     refuses("+IPR"),
		"E0":                       refuses("E"),
		"V1":                       refuses("V"),
		"CMEE":                     refuses("+CMEE"),
		"QIFGCNT":                  refuses("+QIFGCNT"),
		"QIDNSIP":                  refuses("+QIDNSIP"),
		"QIMODE":                   refuses("+QIMODE"),
		"QIMUX":                    refuses("+QIMUX"),
		"QIFGCNT, QIMODE, QIMUX":   refuses("+QIFGCNT", "+QIMODE", "+QIMUX"),
		"CGATT?":                   refuses("+CGATT"),
		"CREG":                     refuses("+CREG"),
		"CREG, CGREG":              refuses("+CREG", "+CGREG"),
		"CSQ":                      refuses("+CSQ"),
		"CPIN?":                    refuses("+CPIN?"),
		"CPIN? untold":             untold("+CPIN?"),
		"QISDE, QIPROMPT, D0":      refuses("+QISDE", "+QIPROMPT", "&D"),
		"IPR? untold":              untold("+IPR?"),
		"CSQ untold":               untold("+CSQ"),
		"CSQ, IPR? untold":         untold("+CSQ", "+IPR?"),
		"CGATT? untold":            untold("+CGATT?"),
		"CREG? untold":             untold("+CREG?"),
		"QISTAT untold":            untold("+QISTAT"),
		"QILOCIP untold":           untold("+QILOCIP"),
		"QIMUX? untold":            {Untold: []string{"+QIMUX?"}, Refuses: []string{"+QIMUX="}},
		"QINDI":                    refuses("+QINDI"),
		"data without OK":          {ReadEnd: "none"},
		"data and CR LF":           {ReadEnd: "crlf"},
		"data and OK glued":        {ReadEnd: "glued"},
		"empty read tells 0":       {ReadZero: true},
		"reads of 512":             {ReadMax: 512},
		"reads of 200":             {ReadMax: 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Model: model}, gsmnet.Config{})
				begun := time.Now()
				c, far := r.dialed(t)
				if took := time.Since(begun); took > within {
					t.Errorf("connected after %v", took)
				}
				roundTrip(t, c, far, 5000)
				if _, err := r.Info(t.Context()); err != nil {
					t.Error(err)
				}
				if got := r.Stats().Restarts; got > 0 {
					t.Errorf("%d restarts, want none", got)
				}
			})
		})
	}
}

// TestFM23_RefusalsThatMatter: where going on would be wrong a refusal is a failure with a cause, after a bounded number of commands.
func TestFM23_RefusalsThatMatter(t *testing.T) {
	for name, c := range map[string]struct {
		refuses string
		cfg     gsmnet.Config
		says    string
	}{
		"APN":              {"+QICSGP", gsmnet.Config{}, "AT+QICSGP"},
		"transparent mode": {"+QIMODE", gsmnet.Config{Mode: gsmnet.Transparent}, "AT+QIMODE"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Model: gsmsim.Model{Refuses: []string{c.refuses}}}, c.cfg)
				err := r.Up(t.Context())
				if gsmnet.CauseOf(err) != gsmnet.CauseContext || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want the context's failure, with %s", err, c.says)
				}
				if got := r.Stats().Commands; got > 60 {
					t.Errorf("%d commands for it", got)
				}
			})
		})
	}
}

// TestFM17_DeniedWithinAShortLimit: a limit that is shorter than the patience with a refusal doesn't make an antenna's fault of it.
func TestFM17_DeniedWithinAShortLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Network: gsmsim.Network{Denied: true}}, gsmnet.Config{RegisterTimeout: 10 * time.Second})
		if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CauseDenied {
			t.Errorf("got %v, want that the network refuses the SIM", err)
		}
	})
}

// TestFM14_NoSIMIsNamedSoon: a missing SIM is told within seconds, and not taken back by the next attempt.
func TestFM14_NoSIMIsNamedSoon(t *testing.T) {
	for name, cme := range map[string]bool{"text": false, "code": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{SIM: gsmsim.SIM{Absent: true}, Model: gsmsim.Model{CPINAsCME: cme}}, gsmnet.Config{})
				begun := time.Now()
				for range 2 {
					if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CauseSIM {
						t.Fatalf("got %v, want that there is no SIM", err)
					}
				}
				if took := time.Since(begun); took > 15*time.Second {
					t.Errorf("told twice within %v", took)
				}
				named := false
				r.mu.Lock()
				defer r.mu.Unlock()
				for _, s := range r.states {
					if strings.Contains(s.Detail, "no SIM") {
						named = true
					} else if named {
						t.Errorf("taken back: %q", s.Detail)
					}
				}
			})
		})
	}
}
