package field

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Sum adds reports up. The zero Sum is ready; its methods are safe for concurrent use.
type Sum struct {
	mu  sync.Mutex
	sum Report
	n   int
}

// Add counts one run.
func (s *Sum) Add(r Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sum.Faults == nil {
		s.sum.Faults = make(map[Kind]int)
	}
	s.n++
	t := &s.sum
	t.Length += r.Length
	t.Offered += r.Offered
	t.Accepted += r.Accepted
	t.Refused += r.Refused
	t.Delivered += r.Delivered
	t.Repeated += r.Repeated
	t.Doubled += r.Doubled
	t.Damaged += r.Damaged
	t.Dated += r.Dated
	t.Torn += r.Torn
	t.Dropped += r.Dropped
	t.Lives += r.Lives
	t.Connects += r.Connects
	t.Commits += r.Commits
	t.DayDials, t.DayLines = max(t.DayDials, r.DayDials), max(t.DayLines, r.DayLines)
	t.AirUp += r.AirUp
	t.AirDown += r.AirDown
	t.DrainTook = max(t.DrainTook, r.DrainTook)
	t.Violations = append(t.Violations, r.Violations...)
	for k, n := range r.Faults {
		t.Faults[k] += n
	}
}

// String tells the sum in some lines.
func (s *Sum) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.sum
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs, %.2f virtual years, %d starts of the agent, %d connections\n", s.n,
		t.Length.Hours()/(365.25*24), t.Lives, t.Connects)
	kinds := slices.SortedFunc(maps.Keys(t.Faults), func(x, y Kind) int {
		return cmp.Or(cmp.Compare(t.Faults[y], t.Faults[x]), cmp.Compare(x, y))
	})
	all := 0
	for _, k := range kinds {
		all += t.Faults[k]
	}
	fmt.Fprintf(&b, "%d faults:", all)
	for i, k := range kinds {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %d %s", t.Faults[k], k)
	}
	fmt.Fprintf(&b, "\nreadings: %d accepted, %d refused, %d delivered, %d dropped by a bound and counted\n", t.Accepted, t.Refused, t.Delivered, t.Dropped)
	fmt.Fprintf(&b, "repeats: %d at QoS 0 and 1, %d at QoS 2 (after the broker had lost its sessions); %d messages known as damaged\n", t.Repeated, t.Doubled, t.Damaged)
	fmt.Fprintf(&b, "%d power cuts tore a write apart; %d stamps that were called known were right\n", t.Torn, t.Dated)
	if t.Delivered > 0 {
		fmt.Fprintf(&b, "%d bytes on the air per delivered reading; the longest drain took %s\n", (t.AirUp+t.AirDown)/uint64(t.Delivered), t.DrainTook.Round(time.Second))
	}
	fmt.Fprintf(&b, "at most %d connections and %d log lines a day; %.1f writes of the queue's file for each reading\n", t.DayDials, t.DayLines,
		float64(t.Commits)/float64(max(1, t.Offered)))
	fmt.Fprintf(&b, "violations: %d", len(t.Violations))
	return b.String()
}
