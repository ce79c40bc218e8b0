package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/queue"
)

// Account counts the bytes on the air and says what the budget allows.
type Account struct {
	Ledger *usage.Ledger
	// Counters are those of the whole run of the agent; they don't block.
	Counters func() (up, down usage.Bytes)
}

const (
	// accountEvery is how often the counters are taken over, so that they go to the right day and a sudden end takes little from
	// the account: GPRS carries some 50 kB meanwhile.
	accountEvery = 10 * time.Second
	// heldFor is how long what is held waits before the budget is looked at again: a new month comes at midnight.
	heldFor = 10 * time.Second
)

// take brings the account up to date.
func (c *Account) take(now time.Time) {
	up, down := c.Counters()
	c.Ledger.Take(now, trustOf(now, clockSynced()) != queue.TrustUnknown, up, down)
}

// keepAccount takes the counters over until ctx ends.
func (a *Agent) keepAccount(ctx context.Context) {
	if a.cfg.Account == nil {
		return
	}
	tick := time.NewTicker(accountEvery)
	defer tick.Stop()
	for {
		a.cfg.Account.take(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			a.cfg.Account.take(time.Now())
			return
		}
	}
}

// allowed says whether the budget lets messages of a lane go. There has to be one.
func (a *Agent) allowed(lane queue.Lane) bool {
	c := a.cfg.Account
	c.take(time.Now())
	switch c.Ledger.Standing().Hold {
	case usage.HoldEverything:
		return false
	case usage.HoldNormal:
		return lane == queue.Alarm
	}
	return true
}

// status is what the status shows.
func (c *Account) status(now time.Time) *UsageStatus {
	c.take(now)
	st := c.Ledger.Standing()
	u := &UsageStatus{MonthBytes: st.Used, Held: st.Hold}
	if days := c.Ledger.Days(); st.Known && len(days) > 0 {
		u.Today = &days[len(days)-1]
	}
	for _, m := range c.Ledger.Months() {
		if m.From == st.From.Format(time.DateOnly) {
			u.Month = &m
		}
	}
	if u.Month == nil {
		undated := c.Ledger.Undated()
		u.Month = &undated
	}
	if !st.To.IsZero() {
		u.MonthEnds = &st.To
	}
	if st.Forecast > 0 {
		u.ForecastBytes = &st.Forecast
	}
	if st.MonthlyBytes > 0 {
		u.BudgetBytes, u.ReserveBytes = &st.MonthlyBytes, &st.Reserve
	}
	return u
}

// heldReason is what a person reads when the budget holds messages back; "": it doesn't.
func heldReason(u *UsageStatus) string {
	if u == nil || u.Held == usage.HoldNothing {
		return ""
	}
	until := "until the clock is set and a new month has begun"
	if u.MonthEnds != nil {
		until = "until " + u.MonthEnds.Format("Jan 2")
	}
	what := "all but alarms waits"
	if u.Held == usage.HoldEverything {
		what = "everything waits"
	}
	return fmt.Sprintf("the data budget is used up (%.2f of %.2f MB, %.2f of them for alarms): %s %s, or raise budget.monthly_bytes",
		mega(u.MonthBytes), mega(*u.BudgetBytes), mega(*u.ReserveBytes), what, until)
}

func mega(bytes int64) float64 { return float64(bytes) / 1e6 }

// UsageLine says in a line what was used this month, of what, and what is to be expected.
func UsageLine(u *UsageStatus) string {
	text := fmt.Sprintf("%.2f MB this month", mega(u.MonthBytes))
	if u.BudgetBytes != nil {
		text = fmt.Sprintf("%.2f of %.2f MB this month", mega(u.MonthBytes), mega(*u.BudgetBytes))
	}
	if u.ForecastBytes != nil {
		text += fmt.Sprintf(", %.2f expected", mega(*u.ForecastBytes))
	}
	if u.Today != nil {
		text += fmt.Sprintf(", %.1f kB today", float64(u.Today.Total())/1e3)
	}
	return text
}
