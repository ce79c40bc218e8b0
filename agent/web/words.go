package web

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent"
)

// stepName is how a person calls a step.
func stepName(s agent.Step) string {
	switch s {
	case agent.StepSIM, agent.StepIP, agent.StepTCP, agent.StepTLS, agent.StepMQTT:
		return strings.ToUpper(string(s))
	}
	return capital(string(s))
}

// causeName is how a person calls the cause of an outage.
func causeName(c agent.Cause) string {
	switch c {
	case agent.CauseNone:
		return "Start"
	case agent.CauseSIM, agent.CausePIN, agent.CauseAPN, agent.CauseDNS, agent.CauseTCP, agent.CauseTLS, agent.CauseMQTT:
		return strings.ToUpper(string(c))
	case agent.CauseSearching:
		return "No network"
	case agent.CauseDenied:
		return "Network refuses"
	case agent.CauseLost:
		return "Connection lost"
	}
	return capital(string(c))
}

// strength judges a received GSM signal the way network planners do.
func strength(dbm int) string {
	switch {
	case dbm >= -70:
		return "excellent"
	case dbm >= -85:
		return "good"
	case dbm >= -100:
		return "fair"
	}
	return "weak"
}

func dBm(n int) string { return strings.Replace(strconv.Itoa(n), "-", "−", 1) + " dBm" }

// count writes a number with a narrow space before each three digits.
func count(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// byteSize writes a size with three digits at most.
func byteSize(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1024, 0
	for ; size >= 1023.5 && unit < 3; unit++ {
		size /= 1024
	}
	name := [...]string{"KiB", "MiB", "GiB", "TiB"}[unit]
	if size < 9.95 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", size), ".0") + " " + name
	}
	return fmt.Sprintf("%.0f %s", size, name)
}

// percent is n of all with one digit, 0 where there is nothing to compare with. What is little but not nothing stays
// visible.
func percent(n, all uint64) float64 {
	if n == 0 || all == 0 {
		return 0
	}
	return min(100, max(0.5, float64(n*1000/all)/10))
}

// clock is the time of day, with the date unless it is today.
func clock(t, now time.Time) string {
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04")
}

func at(t, now time.Time) moment {
	return moment{
		Text: clock(t, now),
		Full: t.In(now.Location()).Format("Monday, 2 January 2006, 15:04:05 MST"),
		ISO:  t.UTC().Format(time.RFC3339),
	}
}

// span is agent.Span with spaces that don't break a line.
func span(d time.Duration) string { return strings.ReplaceAll(agent.Span(d), " ", "\u00a0") }

func ago(t, now time.Time) *moment {
	m := at(t, now)
	m.Text = "just now"
	if d := now.Sub(t); d >= time.Second {
		m.Text = span(d) + " ago"
	}
	return &m
}

// byName sorts the keys of m: first those that are named, then the others by alphabet.
func byName(m map[string]uint64, first ...string) []string {
	var keys []string
	for _, k := range first {
		if _, ok := m[k]; ok {
			keys = append(keys, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(first, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

func known(s string) string {
	if s == "" {
		return "unknown"
	}
	return visible(s)
}

// visible replaces what would not show or would mislead: control characters and those that turn the writing direction.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// sentence makes one of a reason as the agent gives it.
func sentence(s string) string {
	s = capital(visible(s))
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}
