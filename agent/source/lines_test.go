package source_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

// Lines that the store will never take are counted and shown, and those behind them are read.
func TestLinesThatCanNeverBeStored(t *testing.T) {
	s := &sink{}
	s.fail(fmt.Errorf("x: %w", queue.ErrInvalid))
	e := newExec(t, s, "echo 1; sleep 1000", func(cfg *source.ExecConfig) { cfg.Interval = 0 })
	launch(t, e)
	awaitError(t, e, "invalid message")
	if st := e.Status(); st.Refused != 1 || st.Accepted != 0 {
		t.Errorf("got status %+v", st)
	}
}

// What a line says doesn't get into the log, whatever is wrong with it.
func TestLinesAreNotLogged(t *testing.T) {
	for _, format := range []reading.Format{
		{Kind: "influx"}, {Kind: "json"}, {Kind: "csv", Columns: []string{"a", "b", "c"}}, {Kind: "regex", Pattern: `^(?P<a>\d+)$`},
	} {
		var logged bytes.Buffer
		var mu sync.Mutex
		s := &sink{}
		e := newExec(t, s, `echo 'm,hunter2 f=1'; echo 'm f=hunter2'; echo 'm f'; echo '{"a":hunter2}'; echo '"hunter2'; echo 'm f=1 hunter2'; printf 'hunter2\001\n'`,
			func(cfg *source.ExecConfig) { cfg.Format, cfg.Log = format, zerolog.New(lockedWriter{&mu, &logged}) })
		stop := launch(t, e)
		eventually(t, "seven refusals", func() bool { return e.Status().Refused == 7 })
		stop()
		if text := logged.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "can't read") {
			t.Errorf("%s: got log\n%s\nwant the failure, without what the line says", format.Kind, text)
		}
	}
}
