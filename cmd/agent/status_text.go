package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/fieldpost/fieldpost/agent"
)

// A status fits a terminal of 80 columns and 24 lines: the last column makes some terminals wrap, and the last line has
// the prompt.
const (
	statusColumns = 79
	statusLines   = 23
	statusLabels  = 16 // columns of what stands before the text
)

// fact is a line of the status: what it is about, and what there is to say.
type fact struct{ label, text string }

// part is a number of lines about one thing. Where they don't all fit, short tells the same in fewer.
type part struct {
	full  []fact
	short func() []fact // nil: there is no shorter form
}

// printStatus writes a status for a person.
func printStatus(out io.Writer, st agent.Status) {
	verdict := wrap(strings.ToUpper(string(st.Verdict))+": "+st.Reason, statusColumns, 4)
	for _, line := range verdict {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	for _, f := range fit(statusParts(st), statusLines-len(verdict)-1) {
		fmt.Fprintln(out, clip(fmt.Sprintf("%-*s %s", statusLabels, clip(f.label, statusLabels), printable(f.text)), statusColumns))
	}
}

// statusParts is all there is to say, in order.
func statusParts(st agent.Status) []part {
	who := part{full: []fact{
		{"device", fmt.Sprintf("%s, fieldpost %s", st.Device, st.Version)},
		{"link", fmt.Sprintf("%s to %s", st.Link.Kind, st.Link.Broker)},
	}}
	switch st.Link.Release {
	case "qisack":
		who.full = append(who.full, fact{"release", "on acknowledged bytes alone"})
	case "broker":
		who.full = append(who.full, fact{"release", "on the broker's answer alone"})
	}
	if m := st.Link.Modem; m != nil {
		who.full = append(who.full, fact{"module", modemLine(m)})
		if m.Alarm != "" {
			who.full = append(who.full, fact{"alarm", m.Alarm})
		}
	}
	if st.Link.Certificate != "" {
		who.full = append(who.full, fact{"certificate", st.Link.Certificate})
	}
	if p := st.Presence; p != nil && p.Error != "" {
		who.full = append(who.full, fact{"presence", p.Error})
	}
	steps := part{full: stepFacts(st), short: func() []fact { return shortStepFacts(st) }}
	keepalive := part{}
	if k := st.Link.Keepalive; k != nil {
		keepalive.full = []fact{{"keepalive", fmt.Sprintf("a ping after %s of silence, %s", agent.Span(time.Duration(k.IntervalSeconds)*time.Second),
			agent.KeepaliveNote(k))}}
		keepalive.short = func() []fact { return nil }
	}
	air := part{}
	if st.Usage != nil {
		air.full = []fact{{"on the air", agent.UsageLine(st.Usage)}}
	}
	sources := part{full: sourceFacts(st, len(st.Sources)), short: func() []fact { return sourceFacts(st, 2) }}
	outages := part{full: outageFacts(st, 3), short: func() []fact { return outageFacts(st, 1) }}
	return []part{who, keepalive, air, steps, {full: queueFacts(st)}, sources, outages}
}

// fit joins the parts to at most so many lines: what stands last is shortened first.
func fit(parts []part, lines int) []fact {
	all := func() (facts []fact) {
		for _, p := range parts {
			facts = append(facts, p.full...)
		}
		return facts
	}
	for i := len(parts) - 1; i >= 0 && len(all()) > lines; i-- {
		if parts[i].short != nil {
			parts[i].full = parts[i].short()
		}
	}
	facts := all()
	return facts[:min(len(facts), lines)]
}

// wrap breaks a text into lines at its spaces; what goes beyond the last line is cut.
func wrap(text string, columns, lines int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(printable(text)) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > columns {
			out, line = append(out, clip(line, columns)), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	out = append(out, clip(line, columns))
	if len(out) > lines {
		out = out[:lines]
		out[lines-1] = clip(out[lines-1]+" …", columns)
	}
	return out
}

func stepFacts(st agent.Status) (facts []fact) {
	for _, s := range st.Link.Steps {
		facts = append(facts, fact{"  " + stepMark(s.State) + " " + string(s.Step), stepLine(s, st.Time)})
	}
	return facts
}

// shortStepFacts makes one line of neighbours that all work, or whose turn has not come.
func shortStepFacts(st agent.Status) (facts []fact) {
	steps := st.Link.Steps
	for len(steps) > 0 {
		n := 1
		if s := steps[0].State; s == agent.StepOK || s == agent.StepIdle {
			for n < len(steps) && steps[n].State == s {
				n++
			}
		}
		if n == 1 {
			facts = append(facts, fact{"  " + stepMark(steps[0].State) + " " + string(steps[0].Step), stepLine(steps[0], st.Time)})
		} else {
			names := make([]string, n)
			for i := range names {
				names[i] = string(steps[i].Step)
			}
			word := map[agent.StepState]string{agent.StepOK: "ok", agent.StepIdle: "not yet"}[steps[0].State]
			facts = append(facts, fact{"  " + stepMark(steps[0].State) + " " + word, strings.Join(names, ", ")})
		}
		steps = steps[n:]
	}
	return facts
}

func queueFacts(st agent.Status) []fact {
	q := st.Queue
	facts := []fact{{"queue", fmt.Sprintf("%s, %s of %s%s", plural(q.Messages, "message"), disk(q.Bytes), disk(q.MaxBytes), oldest(q, st.Time))}}
	var dropped []string
	for _, reason := range slices.SortedFunc(maps.Keys(q.Dropped), func(a, b string) int {
		return cmp.Or(cmp.Compare(q.Dropped[b], q.Dropped[a]), cmp.Compare(a, b))
	}) {
		if n := q.Dropped[reason]; n > 0 {
			dropped = append(dropped, fmt.Sprintf("%d %s", n, reason))
		}
	}
	if len(dropped) > 0 {
		facts = append(facts, fact{"  dropped", strings.Join(dropped, ", ")})
	}
	if s := st.Delivery.SetAside; s != nil {
		facts = append(facts, fact{"  set aside", fmt.Sprintf("message %d, %s ago, on %s", s.Seq, agent.Span(st.Time.Sub(s.Since)), s.Topic)})
	}
	if r := q.Recovery; r != nil {
		facts = append(facts, fact{"  damaged", fmt.Sprintf("%d saved, %s; the damaged file is now", r.Saved, r.LostWords())},
			fact{"", clipFront(r.SetAside, statusColumns-statusLabels-1)})
	}
	if st.Running {
		facts = append(facts, fact{"delivery", deliveryLine(st.Delivery)})
		if e := st.Encoding; e.Format == agent.FormatEnvelope || e.Format == agent.FormatBatch {
			facts = append(facts, fact{"encoding", encodingLine(e)})
		}
	}
	return facts
}

// deliveryLine leaves out what has not happened.
func deliveryLine(d agent.DeliveryStatus) string {
	text := fmt.Sprintf("%d accepted, %d delivered", d.Accepted, d.Delivered)
	for _, c := range []struct {
		n    uint64
		what string
	}{{d.InFlight, "in flight"}, {d.Repeated, "repeated"}, {d.SessionsLost, "sessions lost by the broker"}, {d.Refused, "refused"}} {
		if c.n > 0 {
			text += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	return text
}

// encodingLine tells what the encoding has made of what was sent.
func encodingLine(e agent.EncodingStatus) string {
	text := string(e.Format)
	if e.Dictionary != "" {
		text += ", deflate"
	}
	if e.Published > 0 && e.BytesIn > 0 {
		text += fmt.Sprintf(": %.1f a message, %s as %s (%.0f %%)", float64(e.Messages)/float64(e.Published),
			size(e.BytesIn), size(e.BytesOut), 100*float64(e.BytesOut)/float64(e.BytesIn))
	}
	return text
}

// sourceFacts tells of so many sources, of those first that don't work.
func sourceFacts(st agent.Status, most int) (facts []fact) {
	sources := slices.Clone(st.Sources)
	slices.SortStableFunc(sources, func(a, b agent.SourceStatus) int {
		return cmp.Compare(cmp.Compare(b.Error, ""), cmp.Compare(a.Error, "")) // both are 0 or 1
	})
	for i, s := range sources {
		if i == most {
			return append(facts, fact{"", fmt.Sprintf("and %s (--json names all)", plural(len(sources)-most, "more source"))})
		}
		facts = append(facts, sourceLines(s, st.Time, most == len(sources))...)
	}
	return facts
}

// sourceLines tells of one source. Of one that fails the error comes first and whole, for what to do about it stands at its end; where
// there is little room it is all there is.
func sourceLines(s agent.SourceStatus, now time.Time, room bool) []fact {
	if s.Error == "" {
		return []fact{{"source " + s.Name, s.Address + ": " + sourceLine(s, now)}}
	}
	lines, most := []fact(nil), 3
	if room {
		most = 5
	}
	for _, text := range wrap(strings.TrimPrefix(s.Error, "source: "), statusColumns-statusLabels-1, most) {
		lines = append(lines, fact{"", text})
	}
	lines[0].label = "source " + s.Name
	if room {
		lines = append(lines, fact{"", s.Address + ": " + sourceLine(s, now)})
	}
	return lines
}

func outageFacts(st agent.Status, most int) (facts []fact) {
	for _, o := range st.Outages[:min(len(st.Outages), most)] {
		facts = append(facts, fact{"outage", outageLine(o, st.Time)})
	}
	return facts
}

// printable keeps a terminal from being driven, and a line from being turned round, by what came from elsewhere.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

func stepMark(s agent.StepState) string {
	switch s {
	case agent.StepOK:
		return "+"
	case agent.StepFailed:
		return "x"
	case agent.StepWaiting:
		return ">"
	}
	return "."
}

func stepLine(s agent.StepStatus, now time.Time) string {
	text := string(s.State) + " for " + agent.Span(now.Sub(s.Since))
	if s.State == agent.StepIdle {
		text = "not yet"
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

func modemLine(m *agent.ModemStatus) string {
	parts := []string{m.Model}
	if m.Operator != "" {
		parts = append(parts, m.Operator)
	}
	if m.Registration == "roaming" {
		parts = append(parts, "roaming")
	}
	if m.SignalDBm != nil {
		parts = append(parts, fmt.Sprintf("%d dBm", *m.SignalDBm))
	}
	if m.IP != "" {
		parts = append(parts, m.IP)
	}
	return strings.Join(parts, ", ")
}

func oldest(q agent.QueueStatus, now time.Time) string {
	if q.OldestAt == nil {
		return ""
	}
	return ", the oldest " + agent.Span(now.Sub(*q.OldestAt)) + " old"
}

func sourceLine(s agent.SourceStatus, now time.Time) string {
	text := fmt.Sprintf("%d accepted", s.Accepted)
	if s.Refused > 0 {
		text += fmt.Sprintf(", %d refused", s.Refused)
	}
	if s.Slowed > 0 {
		text += fmt.Sprintf(", %d slowed down", s.Slowed)
	}
	if s.LastAt != nil {
		text += fmt.Sprintf(", last %s ago on %s", agent.Span(now.Sub(*s.LastAt)), s.LastTopic)
	}
	return text
}

func outageLine(o agent.Outage, now time.Time) string {
	until, still := now, ", still"
	if o.Until != nil {
		until, still = *o.Until, ""
	}
	return fmt.Sprintf("%s for %s%s: %s", o.From.Format("Jan 2 15:04"), agent.Span(until.Sub(o.From)), still, o.Why)
}
