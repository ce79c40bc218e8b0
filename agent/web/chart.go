package web

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// The charts are drawn on a grid of this size and stretched to the room that they have.
const (
	chartColumns = 240
	chartRows    = 100
)

// The range of GSM signal strength that a module reports (3GPP TS 27.007, +CSQ).
const (
	weakestDBm   = -113
	strongestDBm = -51
)

// chart is one drawing of the last hours.
type chart struct {
	Title       string
	Summary     string // what a person would say who looks at it
	Top, Bottom string // labels of the vertical axis
	Reach       string // how far back it goes: "6 h"
	Line        string // SVG path
	Area        string // SVG path below the line; "" for none
	Outages     []band
}

// band is a stretch without a session, in columns.
type band struct{ X, Width int }

// column is what falls into one column of a chart.
type column struct {
	known, out   bool // out: no session at some moment
	backlog      uint64
	signal, seen int     // sum and number of signal readings
	rate         float64 // deliveries a minute, at most
	rated        bool
}

// newCharts draws the backlog, the deliveries and, where a signal was seen, its strength: what is remembered and how things
// stand now. At most they reach back as far as most.
func newCharts(points []point, st agent.Status, most time.Duration) []chart {
	points, now := append(points, pointOf(st)), st.Time
	reach := chartReach(now.Sub(points[0].at), most)
	cols := columns(points, now, reach)
	rate(cols, points, now, reach)
	outages := bands(cols)
	charts := []chart{backlogChart(cols), deliveryChart(cols)}
	if c, ok := signalChart(cols); ok {
		charts = append(charts, c)
	}
	for i := range charts {
		charts[i].Reach = reachText(reach)
		charts[i].Outages = outages
	}
	return charts
}

// chartReach is the shortest of three spans that holds everything, so that a young agent's charts aren't empty. Of a day
// these are an hour, six hours and the day.
func chartReach(age, most time.Duration) time.Duration {
	for _, reach := range []time.Duration{most / 24, most / 4} {
		if age <= reach {
			return reach
		}
	}
	return most
}

func reachText(reach time.Duration) string {
	if reach%time.Hour == 0 && reach <= 24*time.Hour {
		return fmt.Sprintf("%d h", reach/time.Hour)
	}
	return agent.Span(reach)
}

func columns(points []point, now time.Time, reach time.Duration) []column {
	cols := make([]column, chartColumns)
	for i, p := range points {
		// A point stands until the next one.
		first, last := columnOf(p.at, now, reach), chartColumns-1
		if i+1 < len(points) {
			last = max(first, columnOf(points[i+1].at, now, reach)-1)
		}
		for x := max(0, first); x <= last; x++ {
			c := &cols[x]
			c.known, c.out = true, c.out || !p.connected
			c.backlog = max(c.backlog, p.backlog)
			if p.signal != nil {
				c.signal += *p.signal
				c.seen++
			}
		}
	}
	return cols
}

// rate spreads what was delivered between two points over the columns between them. The last stretch is too short to say
// how many a minute that makes, and goes together with the one before.
func rate(cols []column, points []point, now time.Time, reach time.Duration) {
	n := len(points)
	if n > 2 {
		points = append(slices.Clone(points[:n-2]), points[n-1])
	}
	for i := 1; i < len(points); i++ {
		from, to := points[i-1], points[i]
		span := to.at.Sub(from.at)
		if span <= 0 {
			continue
		}
		count := to.delivered
		if count >= from.delivered { // else the agent began anew
			count -= from.delivered
		}
		perMinute := float64(count) / span.Minutes()
		last := columnOf(to.at, now, reach)
		if i+1 < len(points) {
			last = max(columnOf(from.at, now, reach), last-1)
		}
		for x := max(0, columnOf(from.at, now, reach)); x <= last; x++ {
			cols[x].rate, cols[x].rated = max(cols[x].rate, perMinute), true
		}
	}
}

// columnOf is negative for what is too old to be seen. Now belongs to the last column.
func columnOf(at, now time.Time, reach time.Duration) int {
	age := float64(now.Sub(at)) / float64(reach)
	return min(chartColumns-1, int(math.Floor(chartColumns*(1-age))))
}

func backlogChart(cols []column) chart {
	var highest, latest uint64
	for _, c := range cols {
		highest = max(highest, c.backlog)
		if c.known {
			latest = c.backlog
		}
	}
	top := roundUp(max(highest, 10))
	line, area := trace(cols, func(c column) (float64, bool) { return float64(c.backlog) / float64(top), c.known })
	return chart{
		Title:   "Waiting messages",
		Summary: fmt.Sprintf("%s now, %s at most", count(latest), count(highest)),
		Top:     count(top), Bottom: "0", Line: line, Area: area,
	}
}

func deliveryChart(cols []column) chart {
	var highest, latest float64
	for _, c := range cols {
		highest = max(highest, c.rate)
		if c.rated {
			latest = c.rate
		}
	}
	top := roundUp(max(uint64(math.Ceil(highest)), 10))
	line, area := trace(cols, func(c column) (float64, bool) { return c.rate / float64(top), c.rated })
	return chart{
		Title:   "Delivered a minute",
		Summary: fmt.Sprintf("%s now, %s at most", fewDigits(latest), fewDigits(highest)),
		Top:     count(top), Bottom: "0", Line: line, Area: area,
	}
}

// fewDigits writes a rate: with a fraction only where that says something.
func fewDigits(n float64) string {
	if n >= 9.95 || n == math.Trunc(n) {
		return count(uint64(math.Round(n)))
	}
	return fmt.Sprintf("%.1f", n)
}

func signalChart(cols []column) (c chart, seen bool) {
	var latest, lowest int
	for _, col := range cols {
		if col.seen == 0 {
			continue
		}
		latest = col.signal / col.seen
		if !seen || latest < lowest {
			lowest = latest
		}
		seen = true
	}
	line, _ := trace(cols, func(c column) (float64, bool) {
		if c.seen == 0 {
			return 0, false
		}
		mean := float64(c.signal) / float64(c.seen)
		return min(1, max(0, (mean-weakestDBm)/(strongestDBm-weakestDBm))), true
	})
	return chart{
		Title:   "Signal",
		Summary: fmt.Sprintf("%s now, %s at the weakest", dBm(latest), dBm(lowest)),
		Top:     dBm(strongestDBm), Bottom: dBm(weakestDBm), Line: line,
	}, seen
}

// trace draws steps through the columns and breaks off where a value (0 to 1) isn't known; the area is what lies below.
func trace(cols []column, value func(column) (float64, bool)) (line, area string) {
	var l, a strings.Builder
	open := false
	for x, c := range cols {
		v, ok := value(c)
		y := chartRows * (1 - v)
		switch {
		case ok && !open:
			fmt.Fprintf(&l, "M%d %.1f", x, y)
			fmt.Fprintf(&a, "M%d %d V%.1f", x, chartRows, y)
		case ok:
			fmt.Fprintf(&l, "V%.1f", y)
			fmt.Fprintf(&a, "V%.1f", y)
		case open:
			fmt.Fprintf(&a, "V%dZ", chartRows)
		}
		if ok {
			fmt.Fprintf(&l, "H%d", x+1)
			fmt.Fprintf(&a, "H%d", x+1)
		}
		open = ok
	}
	if open {
		fmt.Fprintf(&a, "V%dZ", chartRows)
	}
	return l.String(), a.String()
}

func bands(cols []column) []band {
	var out []band
	for x, c := range cols {
		switch n := len(out); {
		case !c.known || !c.out:
		case n > 0 && out[n-1].X+out[n-1].Width == x:
			out[n-1].Width++
		default:
			out = append(out, band{x, 1})
		}
	}
	return out
}

// roundUp finds the next 1, 2 or 5 times a power of ten, for an axis that doesn't move with each message.
func roundUp(n uint64) uint64 {
	for power := uint64(1); ; power *= 10 {
		for _, step := range []uint64{1, 2, 5} {
			if n <= step*power || power > 1e18 {
				return step * power
			}
		}
	}
}
