package web_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

func Example() {
	server, err := web.New(web.Config{
		Status: func() agent.Status {
			return agent.Status{Verdict: agent.VerdictOK, Reason: "connected for 2 h", Link: agent.LinkStatus{Connected: true}}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A program would call server.Run(ctx).
	w := httptest.NewRecorder()
	server.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost:8080/readyz", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 {"ok":true,"verdict":"ok","reason":"connected for 2 h"}
}
