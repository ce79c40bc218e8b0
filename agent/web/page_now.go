package web

import "strconv"

// nowPart is what changes from second to second: the verdict, where the link stands, the queue and the counts.
func nowPart(v view) markup {
	verdict := el("section", attrs{"id", "verdict", "class", "verdict " + string(v.Verdict), "data-title", v.Headline + " · " + v.Device,
		"aria-labelledby", "verdict-title"},
		el("span", attrs{"class", "sign", "aria-hidden", "true"}),
		el("div", nil, el("h2", attrs{"id", "verdict-title"}, text(v.Headline)), el("p", nil, text(v.Reason))),
	)
	link := card("link-title",
		el("h2", attrs{"id", "link-title"}, "The way to the broker"),
		el("ol", attrs{"class", "chain"}, each(v.Steps, stepView.markup)),
		when(v.Where, func(where string) markup { return el("p", attrs{"class", "where"}, text(where)) }),
		actionButtons(v.Actions),
	)
	cards := el("div", attrs{"class", "cards"},
		queueCard(v.Queue),
		card("delivery-title", el("h2", attrs{"id", "delivery-title"}, "Messages since the start"), factList(v.Facts)),
		v.Usage.markup(),
		card("network-title", el("h2", attrs{"id", "network-title"}, "Network"), factList(v.Link)),
	)
	return verdict + link + cards
}

// actionButtons show only where the page's script runs, which carries them out.
func actionButtons(actions []Action) markup {
	if len(actions) == 0 {
		return ""
	}
	return el("p", attrs{"class", "actions"}, each(actions, func(a Action) markup {
		return el("button", attrs{"type", "button", "data-action", a.Name, "data-ask", a.Ask}, text(a.Label))
	}))
}

func (s stepView) markup() markup {
	with := attrs{"class", string(s.State)}
	if s.Here {
		with = attrs{"class", string(s.State) + " here", "aria-current", "step"}
	}
	return el("li", with,
		el("span", attrs{"class", "mark", "aria-hidden", "true"}, text(s.Mark)), " ",
		el("span", attrs{"class", "name"}, text(s.Name)), " ",
		el("span", attrs{"class", "unseen"}, text(s.Word)), " ",
		el("span", attrs{"class", "since"}, text(s.Since)),
	)
}

func queueCard(q queueView) markup {
	under := text(q.Bytes)
	if q.Oldest != nil {
		under += ", the oldest from " + q.Oldest.markup()
	}
	dropped := markup("")
	if len(q.Dropped) > 0 {
		dropped = el("h3", nil, "Given up so far") + factList(q.Dropped)
	}
	passed := markup("")
	if len(q.PassedOver) > 0 {
		passed = el("h3", nil, "Passed over by others") + factList(q.PassedOver)
	}
	return card("queue-title",
		el("h2", attrs{"id", "queue-title"}, "Waiting on disk"),
		when(q.Error, problem),
		when(q.Recovery, problem),
		el("p", attrs{"class", "big"}, text(q.Messages), small("messages")),
		bar(q.Percent),
		el("p", attrs{"class", "under"}, under),
		el("ul", attrs{"class", "lanes"}, each(q.Lanes, func(l laneView) markup {
			return el("li", nil, el("span", nil, text(l.Name)), bar(l.Percent), el("span", attrs{"class", "number"}, text(l.Count)))
		})),
		passed,
		dropped,
	)
}

// bar is drawn, and not styled: the page's policy forbids styles in attributes.
func bar(percent float64) markup {
	return el("svg", attrs{"class", "bar", "viewBox", "0 0 100 1", "preserveAspectRatio", "none", "aria-hidden", "true"},
		el("rect", attrs{"width", strconv.FormatFloat(percent, 'f', -1, 64), "height", "1"}))
}
