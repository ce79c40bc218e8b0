package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/internal/browser"
)

func site(t *testing.T, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", "img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
		fmt.Fprint(w, "<!doctype html><html lang=en><title>A page</title><link rel=icon href=data:,>"+body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// What the tests of pages rely on has to be found on a page that has it, and not on one that hasn't.
func TestFindsWhatIsWrong(t *testing.T) {
	b := browser.Start(t)
	p := b.Open(site(t, `<main><h1>Good</h1><h2>Also</h2><p>Text <button>Press</button></p></main>`), browser.View{Width: 360, Height: 640})
	if got := p.Complaints(); len(got) > 0 {
		t.Errorf("complaints of a good page: %q", got)
	}
	if got := browser.Faults(p.Nodes()); len(got) > 0 {
		t.Errorf("faults of a good page: %q", got)
	}
	if got := p.Faint(); len(got) > 0 {
		t.Errorf("faint texts of a good page: %q", got)
	}
	p.Close()

	p = b.Open(site(t, `<h1>Bad</h1><h3>Skips</h3><button></button><p style="color:#999;background:#fff">faint</p>
		<img src="http://127.0.0.1:1/x.png" alt=x><img src="/missing.png" alt="">
		<script>console.error("said"); requestAnimationFrame(() => { document.title = "B"; nothing.at.all })</script>`),
		browser.View{Width: 360, Height: 640, Dark: true})
	p.WaitFor(`document.title === "B" && matchMedia("(prefers-color-scheme: dark)").matches && innerWidth === 360`)
	complaints, faults := strings.Join(p.Complaints(), "\n"), strings.Join(browser.Faults(p.Nodes()), "\n")
	for _, want := range []string{"said", "nothing is not defined", "Content Security Policy", "404"} {
		if !strings.Contains(complaints, want) {
			t.Errorf("%q is missing in the complaints:\n%s", want, complaints)
		}
	}
	for _, want := range []string{"a button without a name", `"Skips" of level 3`, "0 times main"} {
		if !strings.Contains(faults, want) {
			t.Errorf("%q is missing in the faults:\n%s", want, faults)
		}
	}
	if got, want := fmt.Sprint(p.Faint()), "[faint: 2.85, want 4.5]"; got != want {
		t.Errorf("faint texts: got %s, want %s", got, want)
	}
}

func Example() {
	faults := browser.Faults([]browser.Node{{Role: "main"}, {Role: "heading", Name: "Status", Level: 1}, {Role: "button"}})
	fmt.Println(faults)
	// Output: [a button without a name]
}
