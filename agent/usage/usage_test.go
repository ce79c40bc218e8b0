package usage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/usage"
)

func open(t *testing.T, path string, b usage.Budget) *usage.Ledger {
	t.Helper()
	l, err := usage.Open(path, b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// meter feeds a ledger with a counter that grows.
type meter struct {
	*usage.Ledger
	up usage.Bytes
}

func (m *meter) use(now time.Time, bytes int64) {
	m.up.Payload += bytes
	m.Take(now, true, m.up, usage.Bytes{})
}

var march = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func TestDaysAndMonths(t *testing.T) {
	m := &meter{Ledger: open(t, "", usage.Budget{MonthStarts: 15})}
	for day := range 40 {
		m.use(march.AddDate(0, 0, day), 100)
	}
	days := m.Days()
	if len(days) != 35 || days[34].From != "2026-04-18" || days[0].Total() != 100 {
		t.Errorf("got %d days up to %s, want 35 up to 2026-04-18 of 100 bytes", len(days), days[len(days)-1].From)
	}
	got := map[string]int64{}
	for _, s := range m.Months() {
		got[s.From] = s.Total()
	}
	if diff := cmp.Diff(map[string]int64{"2026-02-15": 500, "2026-03-15": 3100, "2026-04-15": 400}, got); diff != "" {
		t.Errorf("months (-want +got):\n%s", diff)
	}
}

func TestKeptAcrossARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage")
	m := &meter{Ledger: open(t, path, usage.Budget{})}
	m.use(march, 1000)
	m.Published("site/pump/pressure", 137)
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	again := &meter{Ledger: open(t, path, usage.Budget{})} // its counters begin at 0
	again.use(march.Add(time.Hour), 50)
	month := again.Months()[0]
	if month.Total() != 1050 || month.Messages != 1 || month.Prefixes["site/pump"] != 137 {
		t.Errorf("after a restart: %+v", month)
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := usage.Open(path, usage.Budget{}); err == nil || l.Standing().Used != 0 {
		t.Errorf("a damaged file: %v, want an error and an empty account", err)
	}
}

func TestUnknownTimeGoesToTheDayOnWhichItBecomesKnown(t *testing.T) {
	l := open(t, "", usage.Budget{MonthlyBytes: 1000})
	l.Take(time.Unix(0, 0), false, usage.Bytes{Payload: 300}, usage.Bytes{})
	l.Published("a/b", 7)
	if st := l.Standing(); st.Known || st.Used != 300 || l.Undated().Total() != 300 || len(l.Days()) != 0 {
		t.Errorf("before: %+v", st)
	}
	l.Take(march, true, usage.Bytes{Payload: 400}, usage.Bytes{})
	if st := l.Standing(); !st.Known || st.Used != 400 || l.Undated().Total() != 0 {
		t.Errorf("after: %+v", st)
	}
	if got := l.Days()[0]; got.From != "2026-03-10" || got.Total() != 400 || got.Prefixes["a/b"] != 7 {
		t.Errorf("the day: %+v", got)
	}
}

func TestTopicsAreBounded(t *testing.T) {
	l := open(t, "", usage.Budget{})
	l.Take(march, true, usage.Bytes{}, usage.Bytes{})
	for i := range 100 {
		l.Published(fmt.Sprintf("site/%d/x", i), 1)
	}
	p := l.Days()[0].Prefixes
	if len(p) != 17 || p["site/0"] != 1 || p["(other)"] != 84 {
		t.Errorf("got %d prefixes, %d others: %v", len(p), p["(other)"], p)
	}
}

func TestBudget(t *testing.T) {
	m := &meter{Ledger: open(t, "", usage.Budget{MonthlyBytes: 1000, Reserve: 200, MonthStarts: 5})}
	for _, step := range []struct {
		at   time.Time
		use  int64
		want usage.Hold
	}{
		{march, 799, usage.HoldNothing},
		{march, 1, usage.HoldNormal},
		{march, 199, usage.HoldNormal},
		{march, 1, usage.HoldEverything},
		{time.Date(2026, 4, 4, 23, 59, 59, 0, time.UTC), 0, usage.HoldEverything},
		{time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC), 0, usage.HoldNothing},
	} {
		m.use(step.at, step.use)
		if got := m.Standing().Hold; got != step.want {
			t.Errorf("%v, %d bytes more: holds %q, want %q", step.at, step.use, got, step.want)
		}
	}
	m.use(march.AddDate(0, 1, 0), 900)
	m.Take(time.Unix(0, 0), false, m.up, usage.Bytes{}) // the clock is lost
	if got := m.Standing(); got.Hold != usage.HoldNormal || got.Known {
		t.Errorf("with the clock lost: %+v, want the limit to stay", got)
	}
}

func TestForecast(t *testing.T) {
	m := &meter{Ledger: open(t, "", usage.Budget{})}
	first := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for hour := range 10 * 24 {
		m.use(first.Add(time.Duration(hour)*time.Hour), 10)
	}
	if got, want := m.Standing().Forecast, int64(31*240); got < want*98/100 || got > want*102/100 {
		t.Errorf("forecast %d, want about %d", got, want)
	}
}

func Example() {
	l, _ := usage.Open("", usage.Budget{MonthlyBytes: 5_000_000, Reserve: 500_000})
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	l.Take(now, true, usage.Bytes{Payload: 3_000_000, TCPIP: 1_600_000}, usage.Bytes{})
	st := l.Standing()
	fmt.Println(st.Used, "of", st.MonthlyBytes, "until", st.To.Format(time.DateOnly), "held:", st.Hold)
	// Output: 4600000 of 5000000 until 2026-04-01 held: normal
}

func due(l *usage.Ledger) bool {
	select {
	case <-l.Due():
		return true
	default:
		return false
	}
}

func TestDueBeforeMuchCanBeForgotten(t *testing.T) {
	for _, tc := range []struct {
		name         string
		budget, step int64
	}{
		{"no budget", 0, 64 << 10},
		{"a large budget", 1 << 30, 64 << 10},
		{"a small one", 1_000_000, 10_000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "usage")
			m := &meter{Ledger: open(t, path, usage.Budget{MonthlyBytes: tc.budget})}
			for range 3 {
				if m.use(march, tc.step-1); due(m.Ledger) {
					t.Errorf("due after %d bytes", tc.step-1)
				}
				if m.use(march, 1); !due(m.Ledger) {
					t.Errorf("not due after %d bytes", tc.step)
				}
				if err := m.Save(); err != nil {
					t.Fatal(err)
				}
			}
			if got := open(t, path, usage.Budget{}).Months()[0].Total(); got != 3*tc.step {
				t.Errorf("after a kill %d bytes are known, want %d", got, 3*tc.step)
			}
		})
	}
}

func TestDueWhenAHoldBeginsAndEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage")
	budget := usage.Budget{MonthlyBytes: 100_000, Reserve: 10_000}
	m := &meter{Ledger: open(t, path, budget)}
	m.use(march, 89_999)
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	due(m.Ledger) // of the bytes
	if m.use(march, 1); !due(m.Ledger) {
		t.Error("all but alarms is held from now on, and that isn't due")
	}
	if err := m.Save(); err != nil {
		t.Fatal(err)
	}
	again := &meter{Ledger: open(t, path, budget)}
	if again.use(march, 0); due(again.Ledger) || again.Standing().Hold != usage.HoldNormal {
		t.Errorf("after a kill: held %q and to be saved, want normal and nothing to save", again.Standing().Hold)
	}
	if again.use(march.AddDate(0, 1, 0), 0); !due(again.Ledger) {
		t.Error("a new month ends the hold, and that isn't due")
	}
}
