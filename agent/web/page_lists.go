package web

// listsPart is the tables of sources and outages, and the log.
func listsPart(v view) markup {
	stamp := text("As of " + v.Now.Full)
	if v.Started != nil {
		stamp += "; started " + v.Started.markup()
	}
	log := markup("")
	if v.Logs {
		log = logCard(v.Log)
	}
	return sourcesCard(v.Sources) + outagesCard(v.Outages) + log + el("p", attrs{"class", "stamp"}, stamp, ".")
}

func sourcesCard(sources []sourceView) markup {
	title := el("h2", attrs{"id", "sources-title"}, "Sources")
	if len(sources) == 0 {
		return card("sources-title", title, empty("No source is configured: messages come from the command line only."))
	}
	return card("sources-title", title, el("table", attrs{"aria-labelledby", "sources-title"},
		el("thead", nil, el("tr", nil, heading("Source"), heading("Last value"), heading("Received"), heading("Topic"), numbers("Accepted"), numbers("Refused"))),
		el("tbody", nil, each(sources, sourceView.row)),
	))
}

func (s sourceView) row() markup {
	last, value, topic, refused := markup("none yet"), s.LastValue, s.LastTopic, s.Refused
	if s.LastAt != nil {
		last = s.LastAt.markup()
	}
	if topic == "" {
		topic = "–"
	}
	if value == "" {
		value = "–"
	}
	if refused == "" {
		refused = "0"
	}
	return el("tr", nil,
		el("th", attrs{"scope", "row"}, text(s.Name), when(s.Address, small), when(s.Error, problem)),
		cell("Last value", "value", text(value)),
		cell("Received", "whole", last),
		cell("Topic", "topic", text(topic)),
		cell("Accepted", "number", text(s.Accepted)),
		cell("Refused", "number", text(refused)),
	)
}

func outagesCard(outages []outageView) markup {
	title := el("h2", attrs{"id", "outages-title"}, "Last outages")
	if len(outages) == 0 {
		return card("outages-title", title, empty("None since the start."))
	}
	return card("outages-title", title, el("table", attrs{"aria-labelledby", "outages-title"},
		el("thead", nil, el("tr", nil, heading("Began"), heading("Lasted"), heading("Cause"), heading("Because"))),
		el("tbody", nil, each(outages, outageView.row)),
	))
}

func (o outageView) row() markup {
	lasted := text(o.Lasted)
	if o.Open {
		lasted += " " + el("span", attrs{"class", "tag"}, "still")
	}
	return el("tr", nil,
		el("th", attrs{"scope", "row", "class", "whole"}, o.From.markup()),
		cell("Lasted", "whole", lasted),
		cell("Cause", "whole", text(o.Cause)),
		cell("Because", "why", text(o.Why)),
	)
}

func empty(sentence markup) markup { return el("p", attrs{"class", "empty"}, sentence) }

func heading(name markup) markup { return el("th", attrs{"scope", "col"}, name) }

func numbers(name string) markup {
	return el("th", attrs{"scope", "col", "class", "number"}, text(name))
}

// cell bears its column's name for screens that are too narrow for a table.
func cell(name, class string, content markup) markup {
	with := attrs{"data-label", name}
	if class != "" {
		with = append(with, "class", class)
	}
	return el("td", with, content)
}
