package usage

import "time"

// Budget is what a contract allows.
type Budget struct {
	MonthlyBytes int64          // 0: there is no limit
	Reserve      int64          // of them, for alarms alone
	MonthStarts  int            // day of the month on which it begins anew, 1 to 28; 0: 1
	Zone         *time.Location // in which that day begins; nil: UTC
}

func (b Budget) withDefaults() Budget {
	if b.MonthStarts == 0 {
		b.MonthStarts = 1
	}
	if b.Zone == nil {
		b.Zone = time.UTC
	}
	return b
}

// monthOf is the beginning of the month of the contract that t belongs to.
func (b Budget) monthOf(t time.Time) time.Time {
	t = t.In(b.Zone)
	start := time.Date(t.Year(), t.Month(), b.MonthStarts, 0, 0, 0, 0, b.Zone)
	if t.Before(start) {
		start = time.Date(t.Year(), t.Month()-1, b.MonthStarts, 0, 0, 0, 0, b.Zone)
	}
	return start
}

// worthSaving is how many bytes a power cut may take from the account: so little that a budget isn't overdrawn by repeated
// ones, and so much that flash is spared.
func (b Budget) worthSaving() int64 {
	const most = 64 << 10 // a month of 30 MB over GPRS is then some 500 writes
	if b.MonthlyBytes == 0 {
		return most
	}
	return min(most, b.MonthlyBytes/100)
}

// next is the beginning of the month after the one that begins at start.
func (b Budget) next(start time.Time) time.Time { return start.AddDate(0, 1, 0) }

// Hold says which messages have to wait for the next month.
type Hold string

const (
	HoldNothing    Hold = ""
	HoldNormal     Hold = "normal" // all but alarms
	HoldEverything Hold = "all"
)

// Standing is how the month stands.
type Standing struct {
	Budget
	Known    bool // whether the time is known; if not, Used counts from when it last was
	From, To time.Time
	Used     int64
	// Forecast is what the month will have used at its end if it goes on like the last days; 0 while too little is known.
	Forecast int64
	Hold     Hold
}

// Standing says how the month stands. While the time isn't known, the last month that is known goes on: a limit that was
// reached stays so.
func (l *Ledger) Standing() Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.standing()
}

// standing is called with mu held.
func (l *Ledger) standing() Standing {
	st := Standing{Budget: l.budget, Known: l.known, Used: l.book.Undated.Total()}
	switch n := len(l.book.Months); {
	case l.known:
		st.From = l.budget.monthOf(l.now)
	case n > 0:
		st.From, _ = time.ParseInLocation(time.DateOnly, l.book.Months[n-1].From, l.budget.Zone)
	}
	if !st.From.IsZero() {
		st.To = l.budget.next(st.From)
		for _, m := range l.book.Months {
			if m.From == dateOf(st.From) {
				st.Used += m.Total()
			}
		}
	}
	if l.known {
		st.Forecast = l.forecast(st)
	}
	switch {
	case l.budget.MonthlyBytes == 0:
	case st.Used >= l.budget.MonthlyBytes:
		st.Hold = HoldEverything
	case st.Used >= l.budget.MonthlyBytes-l.budget.Reserve:
		st.Hold = HoldNormal
	}
	return st
}

// Limited reports whether there is a budget at all.
func (l *Ledger) Limited() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget.MonthlyBytes > 0
}

// SetBudget puts another bound in force, with the day on which months start and the zone as they are, and reports whether there is one.
func (l *Ledger) SetBudget(b Budget) (limited bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.MonthStarts, b.Zone = l.budget.MonthStarts, l.budget.Zone
	l.budget = b.withDefaults()
	return l.budget.MonthlyBytes > 0
}

// forecast goes on with the mean of the last seven whole days, or of this month so far where fewer are known. It is called
// with mu held.
func (l *Ledger) forecast(st Standing) int64 {
	today := dateOf(l.now.In(l.budget.Zone))
	var days, sum int64
	for i := len(l.book.Days) - 1; i >= 0 && days < 7; i-- {
		if d := l.book.Days[i]; d.From < today {
			days, sum = days+1, sum+d.Total()
		}
	}
	left := st.To.Sub(l.now)
	if days > 0 {
		return st.Used + int64(float64(sum)/float64(days)*(left.Hours()/24))
	}
	gone := l.now.Sub(st.From)
	if len(l.book.Days) > 0 { // the first day: since midnight
		if begun, err := time.ParseInLocation(time.DateOnly, l.book.Days[0].From, l.budget.Zone); err == nil && begun.After(st.From) {
			gone = l.now.Sub(begun)
		}
	}
	if gone < time.Hour {
		return 0
	}
	return st.Used + int64(float64(st.Used)*float64(left)/float64(gone))
}

// Days returns what was counted on each day, oldest first.
func (l *Ledger) Days() []Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cloneAll(l.book.Days)
}

// Months returns what was counted in each month of the contract, oldest first.
func (l *Ledger) Months() []Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cloneAll(l.book.Months)
}

// Undated returns what was counted and waits for the time to become known.
func (l *Ledger) Undated() Span {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.Undated.clone()
}
