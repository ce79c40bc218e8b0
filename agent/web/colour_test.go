package web_test

import (
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/fieldpost/fieldpost/agent/web"
)

// luminance is the relative luminance of WCAG 2.2 of a colour such as #1b2420.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// Each text on each ground that it stands on: level AA asks for 4.5, and for 3 of what is no text.
func TestColoursHaveContrast(t *testing.T) {
	css := ask(newServer(t, web.Config{}), "GET", "/assets/page.css", nil).Body.String()
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(css, -1)
	if len(themes) != 2 {
		t.Fatalf("themes: got %d, want light and dark", len(themes))
	}
	for i, theme := range []string{"light", "dark"} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(themes[i][1], -1) {
			colours[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			want        float64
		}{
			{"ink", "ground", 4.5}, {"ink", "card", 4.5}, {"soft", "ground", 4.5}, {"soft", "card", 4.5},
			{"ink", "ok-ground", 4.5}, {"ink", "wait-ground", 4.5}, {"ink", "bad-ground", 4.5},
			{"ok", "ok-ground", 4.5}, {"wait", "wait-ground", 4.5}, {"bad", "bad-ground", 4.5},
			{"ok", "card", 4.5}, {"bad", "card", 4.5},
			{"fill", "track", 3}, {"fill", "card", 3}, {"fill", "wait-ground", 3},
		} {
			front, back := colours[pair.front], colours[pair.back]
			if front == "" || back == "" {
				t.Fatalf("%s: %s or %s is no colour of the page", theme, pair.front, pair.back)
			}
			if got := contrast(t, front, back); got < pair.want {
				t.Errorf("%s: %s on %s: got a contrast of %.2f, want %.1f", theme, pair.front, pair.back, got, pair.want)
			}
		}
	}
}
