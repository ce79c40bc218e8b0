package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// shownLines is how much of the log a phone shows without getting long.
	shownLines = 12
	// shownLine cuts a line, in characters.
	shownLine = 300
)

// logView is one line of the log.
type logView struct {
	At     *moment
	Level  string // "" where it is nothing special
	Text   string
	Fields string // what else the line says: "broker=… attempt=3"
}

// newLogViews reads the newest lines, newest first.
func newLogViews(lines []string, now time.Time) []logView {
	var list []logView
	for _, line := range slices.Backward(lines[max(0, len(lines)-shownLines):]) {
		list = append(list, newLogView(line, now))
	}
	return list
}

// newLogView reads a line as the log has it, a JSON object. One that was cut shows as it is.
func newLogView(line string, now time.Time) logView {
	fields := make(map[string]any)
	if json.Unmarshal([]byte(line), &fields) != nil {
		return logView{Text: cut(visible(line), shownLine)}
	}
	take := func(key string) string {
		s, _ := fields[key].(string)
		delete(fields, key)
		return s
	}
	v := logView{Text: cut(visible(capital(take("message"))), shownLine)}
	if level := take("level"); level != "info" {
		v.Level = visible(level)
	}
	if t, err := time.Parse(time.RFC3339, take("time")); err == nil {
		m := at(t, now)
		v.At = &m
	}
	var rest []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		rest = append(rest, fmt.Sprintf("%s=%v", key, fields[key]))
	}
	v.Fields = cut(visible(strings.Join(rest, "  ")), shownLine)
	return v
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func logCard(lines []logView) markup {
	title := el("h2", attrs{"id", "log-title"}, "Log")
	if len(lines) == 0 {
		return card("log-title", title, empty("Nothing has been logged yet."))
	}
	return card("log-title", title, el("ol", attrs{"class", "log"}, each(lines, logView.markup)))
}

func (v logView) markup() markup {
	when := markup("")
	if v.At != nil {
		when = v.At.markup()
	}
	level := markup("")
	if v.Level != "" {
		class := "tag"
		if v.Level == "error" || v.Level == "fatal" || v.Level == "panic" {
			class = "tag bad"
		}
		level = el("span", attrs{"class", class}, text(v.Level)) + " "
	}
	rest := markup("")
	if v.Fields != "" {
		rest = small(v.Fields)
	}
	return el("li", nil, el("span", attrs{"class", "when"}, when), " ", el("span", nil, level, text(v.Text), rest))
}
