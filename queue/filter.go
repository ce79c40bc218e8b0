package queue

import "strings"

// Filter selects messages. The zero value selects all.
type Filter struct {
	Lane Lane // 0: any
	// Topic is a topic, or the levels that it begins with: site/a selects site/a and site/a/b, but not site/ab. "": any.
	Topic string
	Last  uint64 // the highest sequence to select; 0: no bound
}

// Match reports whether f selects m.
func (f Filter) Match(m Message) bool {
	if f.Lane != 0 && m.Lane != f.Lane || f.Last != 0 && m.Seq > f.Last {
		return false
	}
	prefix := strings.TrimSuffix(f.Topic, "/")
	rest, ok := strings.CutPrefix(m.Topic, prefix)
	return f.Topic == "" || ok && (rest == "" && prefix == f.Topic || strings.HasPrefix(rest, "/"))
}
