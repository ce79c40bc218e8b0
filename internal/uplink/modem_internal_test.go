package uplink

import (
	"strings"
	"testing"
)

// TestFL2_AnotherModule: the port has come back with another module behind it, and somebody is told.
func TestFL2_AnotherModule(t *testing.T) {
	var l modemLink
	for _, tc := range []struct{ imei, want string }{
		{"001017000000017", ""}, {"", ""}, {"001017000000017", ""}, {"001017000000025", "ends in 0025, not in 0017"}, {"001017000000017", ""},
	} {
		l.sameModule(tc.imei)
		if !strings.Contains(l.other, tc.want) || (l.other == "") != (tc.want == "") {
			t.Errorf("%q: got %q, want %q", tc.imei, l.other, tc.want)
		}
	}
}
