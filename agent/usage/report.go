package usage

// ReportSchema is the version of the JSON form of Report.
const ReportSchema = 1

// Report is the whole account.
type Report struct {
	Schema      int    `json:"schema"`
	BudgetBytes *int64 `json:"budget_bytes"` // a month; null: no budget
	Reserve     *int64 `json:"reserve_bytes"`
	Forecast    *int64 `json:"forecast_bytes"` // of this month; null while too little is known
	Held        Hold   `json:"held"`
	Months      []Span `json:"months"`  // of the contract, oldest first
	Days        []Span `json:"days"`    // oldest first
	Undated     Span   `json:"undated"` // counted, and waiting for the time to become known
}

// Report returns the whole account.
func (l *Ledger) Report() Report {
	st := l.Standing()
	r := Report{Schema: ReportSchema, Held: st.Hold, Months: l.Months(), Days: l.Days(), Undated: l.Undated()}
	if st.MonthlyBytes > 0 {
		r.BudgetBytes, r.Reserve = &st.MonthlyBytes, &st.Reserve
	}
	if st.Forecast > 0 {
		r.Forecast = &st.Forecast
	}
	return r
}
