package web

import (
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/usage"
)

// usageView is what went over the air this month.
type usageView struct {
	Used    string // "1.24 MB"
	Of      string // "of 30 MB"; "" without a budget
	Percent float64
	Held    string // why messages wait for the next month
	Facts   []fact
	Causes  []share
}

// share is a part of a whole.
type share struct {
	Name, Size string
	Percent    float64
}

func newUsageView(u *agent.UsageStatus, now time.Time) *usageView {
	if u == nil {
		return nil
	}
	v := &usageView{Used: dataSize(u.MonthBytes), Of: "this month"}
	if u.BudgetBytes != nil {
		v.Of = "of " + dataSize(*u.BudgetBytes) + " this month"
		v.Percent = percent(uint64(u.MonthBytes), uint64(*u.BudgetBytes))
	}
	switch u.Held {
	case usage.HoldNormal:
		v.Held = "Only what is kept for alarms is left: all else waits for the next month."
	case usage.HoldEverything:
		v.Held = "It is used up: everything waits for the next month."
	}
	if u.Today != nil {
		v.Facts = append(v.Facts, fact{Name: "Today", Value: dataSize(u.Today.Total())})
	}
	if u.ForecastBytes != nil {
		f := fact{Name: "Expected", Value: dataSize(*u.ForecastBytes)}
		if u.BudgetBytes != nil && *u.BudgetBytes > 0 {
			f.Note = fmt.Sprintf("%.0f %% of the budget", 100*float64(*u.ForecastBytes)/float64(*u.BudgetBytes))
		}
		v.Facts = append(v.Facts, f)
	}
	if u.ReserveBytes != nil && *u.ReserveBytes > 0 {
		v.Facts = append(v.Facts, fact{Name: "Kept for alarms", Value: dataSize(*u.ReserveBytes)})
	}
	if u.MonthEnds != nil {
		v.Facts = append(v.Facts, fact{Name: "Month ends", Value: u.MonthEnds.In(now.Location()).Format("2 January")})
	}
	v.Causes = shares(u.Month)
	return v
}

// shares are the causes of a month's bytes, of both directions.
func shares(month *usage.Span) (list []share) {
	if month == nil {
		return nil
	}
	causes := month.Up.Plus(month.Down).Causes()
	var most int64
	for _, c := range causes {
		most = max(most, c.Bytes)
	}
	for _, c := range causes {
		if c.Bytes > 0 {
			list = append(list, share{spentOn(c.Name), dataSize(c.Bytes), percent(uint64(c.Bytes), uint64(most))})
		}
	}
	return list
}

// spentOn is how a person calls a cause of bytes.
func spentOn(cause string) string {
	switch cause {
	case "payload":
		return "Readings"
	case "topic":
		return "Topics"
	case "mqtt", "tls":
		return map[string]string{"mqtt": "MQTT", "tls": "TLS"}[cause]
	case "tcp_ip":
		return "TCP and IP"
	case "connect":
		return "Connecting"
	}
	return capital(cause)
}

// dataSize writes bytes as contracts do: by thousands.
func dataSize(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d\u00a0B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.3g\u00a0kB", float64(min(n, 999_000))/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.3g\u00a0MB", float64(min(n, 999_000_000))/1e6)
	}
	return fmt.Sprintf("%.2f\u00a0GB", float64(n)/1e9)
}

func (v *usageView) markup() markup {
	if v == nil {
		return ""
	}
	budget := markup("")
	if v.Percent > 0 {
		budget = bar(v.Percent)
	}
	return card("usage-title",
		el("h2", attrs{"id", "usage-title"}, "Data plan"),
		when(v.Held, problem),
		el("p", attrs{"class", "big"}, text(v.Used), small(v.Of)),
		budget,
		el("ul", attrs{"class", "lanes shares"}, each(v.Causes, share.markup)),
		factList(v.Facts),
	)
}

func (s share) markup() markup {
	return el("li", nil, el("span", nil, text(s.Name)), bar(s.Percent), el("span", attrs{"class", "number"}, text(s.Size)))
}
