package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page/*.html
var pageFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// templates are parsed once, and never changed.
var templates = template.Must(template.ParseFS(pageFiles, "page/*.html"))

// page serves the whole page as it stands now, so that it is complete without JavaScript.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Status()
	body := render("page", struct {
		view
		Charts []chart
	}{newView(st), newCharts(s.history.all(), st)})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(body)) // fails only when the client has gone
}

// render fills in one of the templates. They take only what is made here, so one that fails is a bug that every test of
// the page meets; the person then sees the part's name in its place.
func render(name string, data any) string {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return template.HTMLEscapeString("the part " + name + " of this page can't be shown: " + err.Error())
	}
	return out.String()
}

// assets serves the page's script, style and icon.
func assets() http.Handler {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the name is a constant
	}
	return http.StripPrefix("/assets/", http.FileServerFS(files))
}
