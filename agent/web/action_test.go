package web_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

func TestActions(t *testing.T) {
	done := 0
	actions := []web.Action{
		{Name: "reconnect", Label: "Reconnect now", Done: "The agent connects anew.", Run: func(context.Context) error { done++; return nil }},
		{Name: "fails", Label: "Fail", Run: func(context.Context) error { return errors.New("the module is silent") }},
	}
	guarded := newServer(t, web.Config{Token: token, Actions: actions})
	open := newServer(t, web.Config{Actions: actions})
	with := func(headers ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
		}
	}
	const bearer = "Bearer " + token
	for name, test := range map[string]struct {
		s            *web.Server
		method, path string
		change       func(*http.Request)
		code, done   int
		want         string
	}{
		"done":              {guarded, "POST", "reconnect", with("Authorization", bearer), 200, 1, `"ok":true,"text":"The agent connects anew."`},
		"from the page":     {guarded, "POST", "reconnect", with("Authorization", bearer, "Sec-Fetch-Site", "same-origin"), 200, 1, `"ok":true`},
		"from another site": {guarded, "POST", "reconnect", with("Authorization", bearer, "Sec-Fetch-Site", "cross-site"), 403, 0, ""},
		"another origin":    {guarded, "POST", "reconnect", with("Authorization", bearer, "Origin", "http://evil.example"), 403, 0, ""},
		"fails":             {guarded, "POST", "fails", with("Authorization", bearer), 503, 0, `"ok":false,"text":"The module is silent."`},
		"unknown":           {guarded, "POST", "format-disk", with("Authorization", bearer), 404, 0, "no such action"},
		"without the token": {guarded, "POST", "reconnect", nil, 401, 0, ""},
		"wrong token":       {guarded, "POST", "reconnect", with("Authorization", "Bearer wrong"), 401, 0, ""},
		"by a link":         {guarded, "GET", "reconnect", with("Authorization", bearer), 405, 0, ""},
		"no token is set":   {open, "POST", "reconnect", nil, 403, 0, "web.token_file"},
	} {
		done = 0
		w := ask(test.s, test.method, "/api/v1/actions/"+test.path, test.change)
		if w.Code != test.code || done != test.done || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s: got %d, done %d times: %s; want %d, %d times, %s", name, w.Code, done, w.Body, test.code, test.done, test.want)
		}
	}
	if page := ask(open, "GET", "/", nil).Body.String(); strings.Contains(page, "data-action") {
		t.Error("the page has buttons although no token is set")
	}
}

// What the page shows of the budget, the values and the log, without a script too.
func TestPageOfDataValuesAndLog(t *testing.T) {
	st := full(noon)
	got := text(ask(newServer(t, web.Config{Status: func() agent.Status { return st }, Logged: func() []string { return append(logged, `{"cut`) }}), "GET", "/", nil).Body.String())
	wantInOrder(t, got, "Data plan", "7.81 MB of 30 MB this month", "Readings 2.9 MB", "TCP and IP 2.19 MB", "Keepalive 13 kB",
		"Expected 21.4 MB 71 % of the budget", "Kept for alarms 2 MB", "Month ends 1 April",
		"{&#34;bar&#34;:4.21,&#34;t&#34;:18.5}", "2 s ago", "Log", "{&#34;cut", "10:00:00", "Connected broker=mqtts://broker.example:8883", "error A source has failed", "09:00:00", "Started")
	st.Usage = nil
	if got := text(pageOf(t, st)); strings.Contains(got, "Data plan") || strings.Contains(got, "Log ") {
		t.Error("a page without an account and a log shows their cards")
	}
}
