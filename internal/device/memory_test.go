package device_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/internal/device"
)

// onDisk is what the account would be after a kill at this moment.
func (w *world) onDisk() int64 {
	w.t.Helper()
	synctest.Wait()
	l, err := usage.Open(device.UsageFile(w.config), usage.Budget{})
	if err != nil {
		w.t.Fatal(err)
	}
	sum := l.Undated().Total()
	for _, m := range l.Months() {
		sum += m.Total()
	}
	return sum
}

func (w *world) used() int64 {
	up, down := w.accounted()
	return up.Total() + down.Total()
}

// TestAShortRunIsAccounted: a logger that is switched off ten minutes after each start.
func TestAShortRunIsAccounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for n := range 20 {
			w.accept(n + 1)
			time.Sleep(30 * time.Second)
			if n == 1 && w.onDisk() == 0 {
				t.Error("a minute after the start nothing is saved")
			}
		}
		if saved, used := w.onDisk(), w.used(); saved < used/2 {
			t.Errorf("a kill after 10 minutes leaves %d of %d bytes, want half at least", saved, used)
		}
	})
}

// TestABudgetIsNotOverdrawnByKills: a kill at any moment takes 1 % of the budget, and what left within 10 s, from the account.
func TestABudgetIsNotOverdrawnByKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 300_000
		w := newWorld(t, nil, func(c *config.Config) { c.Budget.MonthlyBytes = budget })
		time.Sleep(20 * time.Minute) // saved rarely by now
		w.backlog(5000)
		for range 120 {
			time.Sleep(time.Second)
			saved, used := w.onDisk(), w.used()
			if used-saved > budget/100+8_000 { // a window and its answers may leave between two looks
				t.Fatalf("%d bytes used, %d of them saved: a kill would forget %d", used, saved, used-saved)
			}
		}
		if w.used() < budget || w.onDisk() < budget {
			t.Errorf("%d bytes used and %d saved, want the budget of %d used up and known", w.used(), w.onDisk(), budget)
		}
	})
}
