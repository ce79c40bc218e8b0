package downlink_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/downlink"
)

// FuzzParse feeds the parser with anything: it must not panic, and what it takes has a usable name and id.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1"}`, `{"id":"1","sent":1777636800,"expires":"2026-05-01T12:00:00Z","args":{"full":true}}`, `{"id":null}`,
		`{"id":"1","args":null}`, `{"id":"1"} x`, `[]`, `null`, `{"ID":"1"}`, `{"id":"1","expires":1e99}`, `{"id":"\u0000"}`, `{"id":"1","sent":null}`,
		strings.Repeat("[", 2000),
	} {
		f.Add("status", []byte(seed))
	}
	f.Add("../etc", []byte(`{"id":"1"}`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		c, err := downlink.Parse(name, payload)
		if len(c.ID) > 64 || strings.ContainsAny(c.ID, " \n\x00") || strings.ContainsAny(c.Name, "/+#. ") || len(c.Name) > 32 {
			t.Fatalf("got name %q and id %q", c.Name, c.ID)
		}
		if err != nil {
			if len(err.Error()) > 400 {
				t.Fatalf("an error of %d bytes goes up", len(err.Error()))
			}
			return
		}
		if c.Name != name || c.ID == "" {
			t.Fatalf("took %q with the name %q and the id %q", payload, c.Name, c.ID)
		}
		if len(c.Args) > 0 && !json.Valid(c.Args) {
			t.Fatalf("args %q of %q", c.Args, payload)
		}
		again, err := downlink.Parse(name, payload)
		if err != nil || again.ID != c.ID {
			t.Fatalf("the second time: %v, %v", again, err)
		}
	})
}
