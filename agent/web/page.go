package web

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/fieldpost/fieldpost/agent"
)

//go:embed assets
var assetFiles embed.FS

// page serves the whole page as it stands now, so that it is complete without JavaScript.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Status()
	v := s.view(st)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(pageOf(v, newCharts(s.history.all(), st, s.cfg.Reach)))) // fails only when the client has gone
}

// view is a status with what the server knows beside it.
func (s *Server) view(st agent.Status) view {
	v := newView(st)
	v.Actions = s.actions()
	if s.cfg.Logged != nil {
		v.Logs, v.Log = true, newLogViews(s.cfg.Logged(), st.Time)
	}
	return v
}

// assets serves the page's script, style and icon.
func assets() http.Handler {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the name is a constant
	}
	return http.StripPrefix("/assets/", http.FileServerFS(files))
}

// pageOf is the whole page.
func pageOf(v view, charts []chart) markup {
	return "<!doctype html>" + el("html", attrs{"lang", "en"},
		el("head", nil,
			void("meta", attrs{"charset", "utf-8"}),
			void("meta", attrs{"name", "viewport", "content", "width=device-width, initial-scale=1"}),
			void("meta", attrs{"name", "color-scheme", "content", "light dark"}),
			el("title", nil, text(v.Headline+" · "+v.Device)),
			void("link", attrs{"rel", "icon", "href", "assets/icon.svg", "type", "image/svg+xml"}),
			void("link", attrs{"rel", "stylesheet", "href", "assets/page.css"}),
			el("script", attrs{"src", "assets/page.js", "defer", ""}),
			el("noscript", nil, void("meta", attrs{"http-equiv", "refresh", "content", "10"})),
		),
		el("body", nil,
			el("a", attrs{"class", "skip", "href", "#main"}, "Skip to the status"),
			el("header", nil, el("h1", nil, text(v.Device)), el("p", nil, text("Fieldpost "+v.Version))),
			el("p", attrs{"id", "stale", "class", "stale", "role", "alert", "hidden", ""}),
			el("p", attrs{"id", "done", "class", "done", "role", "status", "hidden", ""}),
			el("p", attrs{"id", "said", "class", "unseen", "role", "status", "aria-live", "polite"}),
			el("main", attrs{"id", "main", "tabindex", "-1"},
				el("div", attrs{"id", "now", "class", "stack"}, nowPart(v)),
				card("charts-title", el("h2", attrs{"id", "charts-title"}, "Over time"),
					el("div", attrs{"id", "charts", "class", "charts"}, chartsPart(charts))),
				el("div", attrs{"id", "lists", "class", "stack"}, listsPart(v)),
			),
			el("footer", nil, el("p", nil, "The same for programs: ",
				el("a", attrs{"href", "api/v1/status"}, "status as JSON"), ", ",
				el("a", attrs{"href", "metrics"}, "metrics"), ", ",
				el("a", attrs{"href", "healthz"}, "healthz"), ", ",
				el("a", attrs{"href", "readyz"}, "readyz"), ".")),
		),
	)
}

// card is a section of the page that bears the name of the heading in it.
func card(heading string, content ...markup) markup {
	return el("section", attrs{"class", "card", "aria-labelledby", heading}, content...)
}

func problem(s string) markup { return el("p", attrs{"class", "problem"}, text(s)) }

func small(s string) markup { return " " + el("small", nil, text(s)) }

func (m moment) markup() markup {
	return el("time", attrs{"datetime", m.ISO, "title", m.Full}, text(m.Text))
}

func factList(facts []fact) markup {
	return el("dl", attrs{"class", "facts"}, each(facts, func(f fact) markup {
		return el("div", nil, el("dt", nil, text(f.Name)), el("dd", nil, text(f.Value), when(f.Note, small)))
	}))
}
