package uplink

import (
	"strings"
	"testing"
	"time"
)

// TestOwnCertificateExpires: a month before its end it is spoken of.
func TestOwnCertificateExpires(t *testing.T) {
	until := time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC)
	for before, want := range map[time.Duration]string{
		31 * 24 * time.Hour: "",
		10 * 24 * time.Hour: "expires on 2027-05-01, in 10 d: put a new one into client.pem",
		-time.Hour:          "has expired on 2027-05-01",
	} {
		own := ownCertificate{file: "client.pem", until: until, now: func() time.Time { return until.Add(-before) }}
		if got := own.warning(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%v before: got %q, want %q", before, got, want)
		}
	}
}
