package web

import (
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// view is a status as a person reads it: every text is ready, the template only places it.
type view struct {
	Device, Version string
	Verdict         agent.Verdict
	Headline        string
	Reason          string // a sentence
	Steps           []stepView
	Where           string // at which step the link stands; "" when it is up
	Queue           queueView
	Facts           []fact // of delivery
	Link            []fact
	Sources         []sourceView
	Outages         []outageView
	Usage           *usageView // nil while nobody counts
	Log             []logView
	Logs            bool // whether there is a log to show
	Actions         []Action
	Now             moment
	Started         *moment
}

// fact is a line of a card.
type fact struct {
	Name, Value string
	Note        string // explains the value in a few words
}

// moment is a time with the text that stands for it.
type moment struct {
	Text string
	Full string // date, time and zone
	ISO  string // for machines
}

type stepView struct {
	Name  string
	State agent.StepState
	Word  string // the state for those who can't see the mark
	Mark  string
	Since string
	Here  bool // where the link stands
}

type queueView struct {
	Messages string
	Bytes    string // "12 KiB of 64 MiB"
	Percent  float64
	Oldest   *moment
	Lanes    []laneView
	Dropped  []fact
	Error    string
	Recovery string // what became of a damaged file

	PassedOver []fact // messages that others pass
}

type laneView struct {
	Name, Count string
	Percent     float64 // of the waiting messages
}

type sourceView struct {
	Name, Address     string
	Accepted, Refused string
	LastAt            *moment
	LastTopic         string
	LastValue         string
	Error             string
}

type outageView struct {
	From   moment
	Lasted string
	Open   bool
	Cause  string
	Why    string
}

func newView(st agent.Status) view {
	v := view{
		Device: visible(st.Device), Version: visible(st.Version),
		Verdict: st.Verdict, Headline: headline(st), Reason: sentence(st.Reason),
		Queue: newQueueView(st), Facts: deliveryFacts(st), Link: linkFacts(st),
		Usage: newUsageView(st.Usage, st.Time), Now: at(st.Time, st.Time),
	}
	if st.StartedAt != nil {
		v.Started = ago(*st.StartedAt, st.Time)
	}
	v.Steps, v.Where = steps(st)
	for _, s := range st.Sources {
		sv := sourceView{Name: visible(s.Name), Address: visible(s.Address), Accepted: count(s.Accepted), LastTopic: visible(s.LastTopic), LastValue: visible(s.LastValue), Error: visible(s.Error)}
		if s.Refused > 0 {
			sv.Refused = count(s.Refused)
		}
		if s.LastAt != nil {
			sv.LastAt = ago(*s.LastAt, st.Time)
		}
		v.Sources = append(v.Sources, sv)
	}
	for _, o := range st.Outages {
		v.Outages = append(v.Outages, newOutageView(o, st.Time))
	}
	return v
}

func headline(st agent.Status) string {
	switch st.Verdict {
	case agent.VerdictOK:
		return "Connected"
	case agent.VerdictBlocked:
		return "Needs attention"
	case agent.VerdictStopped:
		return "Stopped"
	}
	if st.Link.Connected {
		return "Interrupted"
	}
	return "Connecting"
}

// steps shows the chain and says in a sentence at which link of it things stand.
func steps(st agent.Status) (views []stepView, where string) {
	for _, s := range st.Link.Steps {
		v := stepView{Name: visible(stepName(s.Step)), State: s.State}
		since := span(st.Time.Sub(s.Since))
		switch s.State {
		case agent.StepOK:
			v.Mark, v.Word, v.Since = "✓", "works", since
		case agent.StepWaiting:
			v.Mark, v.Word, v.Since = "…", "under way", since
		case agent.StepFailed:
			v.Mark, v.Word, v.Since = "!", "failed", since
		default:
			v.Mark, v.Word = "·", "its turn has not come"
		}
		if s.State != agent.StepOK && where == "" {
			v.Here = true
			where = standing(v, s.Why)
		}
		views = append(views, v)
	}
	if where != "" && st.Link.RetryAt != nil {
		if wait := st.Link.RetryAt.Sub(st.Time); wait > 0 {
			where += " Next attempt in " + span(wait) + "."
		}
	}
	return views, where
}

// standing says how a step stands, for how long and why, as far as it is known.
func standing(v stepView, why string) string {
	if why == "" {
		why = v.Word
	}
	if v.Since == "" {
		return sentence(v.Name + ": " + why)
	}
	return sentence(v.Name + ", for " + v.Since + ": " + why)
}

func newQueueView(st agent.Status) queueView {
	q := st.Queue
	v := queueView{
		Messages: count(q.Messages),
		Bytes:    byteSize(q.Bytes) + " of " + byteSize(q.MaxBytes),
		Percent:  percent(q.Bytes, q.MaxBytes),
		Error:    visible(q.Error),
	}
	if q.OldestAt != nil {
		v.Oldest = ago(*q.OldestAt, st.Time)
	}
	if r := q.Recovery; r != nil {
		v.Recovery = "The queue's file was damaged: " + count(r.Saved) + " saved, " + r.LostWords() + ". It is now " + visible(r.SetAside) + "."
	}
	for _, s := range st.Delivery.PassedOver {
		v.PassedOver = append(v.PassedOver, fact{Name: "Message " + count(s.Seq), Value: visible(s.Topic), Note: "for " + span(st.Time.Sub(s.Since))})
	}
	if s := st.Delivery.SetAside; s != nil {
		v.Dropped = append(v.Dropped, fact{Name: "last set aside", Value: "message " + count(s.Seq) + " on " + visible(s.Topic), Note: span(st.Time.Sub(s.Since)) + " ago"})
	}
	for _, lane := range byName(q.Lanes, "alarm", "normal", "bulk") {
		n := q.Lanes[lane]
		v.Lanes = append(v.Lanes, laneView{Name: capital(visible(lane)), Count: count(n), Percent: percent(n, q.Messages)})
	}
	for _, reason := range byName(q.Dropped) {
		if n := q.Dropped[reason]; n > 0 {
			v.Dropped = append(v.Dropped, fact{Name: visible(reason), Value: count(n)})
		}
	}
	return v
}

func deliveryFacts(st agent.Status) []fact {
	d := st.Delivery
	facts := []fact{
		{Name: "Accepted", Value: count(d.Accepted)},
		{Name: "Delivered", Value: count(d.Delivered)},
		{Name: "On the way", Value: count(d.InFlight), Note: "proof is awaited"},
		{Name: "Repeated", Value: count(d.Repeated), Note: "proof was missing"},
		{Name: "Refused", Value: count(d.Refused)},
	}
	last := fact{Name: "Last delivered", Value: "not yet"}
	if d.LastDeliveredAt != nil {
		last.Value, last.Note = ago(*d.LastDeliveredAt, st.Time).Text, clock(*d.LastDeliveredAt, st.Time)
	}
	facts = append(facts, last)
	if e := st.Encoding; e.Format != agent.FormatPlain && e.Published > 0 && e.BytesIn > 0 {
		facts = append(facts, fact{Name: "In one message", Value: fmt.Sprintf("%.1f", float64(e.Messages)/float64(e.Published)),
			Note: fmt.Sprintf("%.0f %% of their bytes", 100*float64(e.BytesOut)/float64(e.BytesIn))})
	}
	return facts
}

func linkFacts(st agent.Status) []fact {
	var facts []fact
	if m := st.Link.Modem; m != nil {
		signal := fact{Name: "Signal", Value: "unknown"}
		if m.SignalDBm != nil {
			signal.Value, signal.Note = dBm(*m.SignalDBm), strength(*m.SignalDBm)
		}
		facts = append(facts,
			fact{Name: "Operator", Value: known(m.Operator), Note: visible(m.Registration)}, signal,
			fact{Name: "Module", Value: known(m.Model)}, fact{Name: "Address", Value: known(m.IP)})
		if m.Alarm != "" {
			facts = append(facts, fact{Name: "Alarm", Value: visible(m.Alarm)})
		}
	} else {
		way := "the machine's own network"
		if st.Link.Kind == "modem" {
			way = "module, no answer yet"
		}
		facts = append(facts, fact{Name: "Way", Value: way})
	}
	if c := st.Link.Certificate; c != "" {
		facts = append(facts, fact{Name: "Certificate", Value: visible(c)})
	}
	if k := st.Link.Keepalive; k != nil {
		facts = append(facts, fact{Name: "Ping after", Value: span(time.Duration(k.IntervalSeconds) * time.Second), Note: agent.KeepaliveNote(k)})
	}
	return append(facts,
		fact{Name: "Broker", Value: known(st.Link.Broker)},
		fact{Name: "Sessions", Value: count(st.Link.Sessions)},
		fact{Name: "Stream", Value: byteSize(st.Link.BytesUp) + " up, " + byteSize(st.Link.BytesDown) + " down", Note: "without TCP headers"})
}

func newOutageView(o agent.Outage, now time.Time) outageView {
	v := outageView{From: at(o.From, now), Cause: visible(causeName(o.Cause)), Why: visible(o.Why)}
	if o.Until == nil {
		v.Open, v.Lasted = true, span(now.Sub(o.From))
	} else {
		v.Lasted = span(o.Until.Sub(o.From))
	}
	return v
}
