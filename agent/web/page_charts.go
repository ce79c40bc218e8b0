package web

import "strconv"

// chartsPart is the drawings of the last hours.
func chartsPart(charts []chart) markup { return each(charts, chart.markup) }

func (c chart) markup() markup {
	key := markup("")
	if len(c.Outages) > 0 {
		key = el("span", attrs{"class", "key"}, "not connected")
	}
	return el("figure", attrs{"aria-label", c.Title},
		el("figcaption", nil, el("b", nil, text(c.Title)), " ", el("span", nil, text(c.Summary))),
		el("div", attrs{"class", "plot"},
			el("svg", attrs{"viewBox", "0 0 240 100", "preserveAspectRatio", "none", "role", "img",
				"aria-label", c.Title + " over the last " + c.Reach + ": " + c.Summary},
				each(c.Outages, func(b band) markup {
					return el("rect", attrs{"class", "out", "x", strconv.Itoa(b.X), "width", strconv.Itoa(b.Width), "height", "100"})
				}),
				path("rule", "M0 0H240M0 50H240M0 100H240"),
				when(c.Area, func(d string) markup { return path("area", d) }),
				path("line", c.Line)),
			el("span", attrs{"class", "top"}, text(c.Top)), el("span", attrs{"class", "bottom"}, text(c.Bottom)),
		),
		el("p", attrs{"class", "axis"}, el("span", nil, text(c.Reach+" ago")), key, el("span", nil, "now")),
	)
}

func path(class, d string) markup { return el("path", attrs{"class", class, "d", d}) }
