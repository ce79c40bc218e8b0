package web_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

func scrape(t *testing.T, st agent.Status) string {
	t.Helper()
	w := ask(newServer(t, web.Config{Status: func() agent.Status { return st }}), "GET", "/metrics", nil)
	if w.Code != 200 {
		t.Fatalf("GET /metrics: got %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// has tells whether a line of a scrape is exactly this one.
func has(body, line string) bool { return strings.Contains("\n"+body, "\n"+line+"\n") }

func TestMetricsAreNamedWell(t *testing.T) {
	// Prometheus' own reader: a line that it doesn't take costs the whole scrape.
	problems, err := promlint.New(strings.NewReader(scrape(t, full(noon)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

var recovered = &agent.RecoveryStatus{Saved: 120, Lost: 3}

func TestMetrics(t *testing.T) {
	st := searching(noon)
	st.Queue.Recovery = recovered
	body := scrape(t, st)
	for _, want := range []string{
		`fieldpost_verdict{verdict="ok"} 0`,
		`fieldpost_verdict{verdict="connecting"} 1`,
		`fieldpost_link_connected 0`,
		`fieldpost_link_sessions_total 4`,
		`fieldpost_link_outages_total 4`,
		`fieldpost_link_step_state{state="ok",step="sim"} 1`,
		`fieldpost_link_step_state{state="waiting",step="registration"} 1`,
		`fieldpost_link_step_state{state="ok",step="registration"} 0`,
		`fieldpost_link_step_state{state="idle",step="mqtt"} 1`,
		`fieldpost_link_stream_bytes_total{direction="up"} 2048`,
		`fieldpost_link_stream_bytes_total{direction="down"} 1024`,
		`fieldpost_modem_signal_dbm -79`,
		`fieldpost_queue_messages{lane="alarm"} 1`,
		`fieldpost_queue_messages{lane="bulk"} 0`,
		`fieldpost_queue_bytes 524288`,
		`fieldpost_queue_max_bytes 1.048576e+06`,
		`fieldpost_queue_failed 0`,
		`fieldpost_queue_dropped_messages_total{reason="expired"} 12`,
		`fieldpost_queue_recovered_messages{result="saved"} 120`,
		`fieldpost_queue_recovered_messages{result="lost"} 3`,
		`fieldpost_messages_accepted_total 48211`,
		`fieldpost_messages_delivered_total 48208`,
		`fieldpost_messages_repeated_total 6`,
		`fieldpost_messages_refused_total 5`,
		`fieldpost_messages_in_flight 2`,
		`fieldpost_messages_delivered_timestamp_seconds 1.772366396e+09`,
		`fieldpost_source_messages_accepted_total{source="mqtt"} 48100`,
		`fieldpost_source_failed{source="http"} 1`,
		`fieldpost_source_failed{source="mqtt"} 0`,
	} {
		if !has(body, want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	for _, want := range []string{`fieldpost_build_info{go_version="go`, "\ngo_goroutines ", "\nprocess_resident_memory_bytes "} {
		if !strings.Contains(body, want) {
			t.Errorf("the scrape lacks %q", want)
		}
	}
	if found := regexp.MustCompile(`\nprocess_resident_memory_bytes ([1-9]\S*)\n`).FindStringSubmatch(body); found == nil {
		t.Error("no resident memory")
	} else if n, err := strconv.ParseFloat(found[1], 64); err != nil || n < 1<<20 || n > 1<<31 {
		t.Errorf("resident memory: got %s bytes", found[1])
	}
	if up := scrape(t, healthy(noon)); !has(up, "fieldpost_link_outages_total 3") {
		t.Error("the session that stands counts as an outage")
	}
}

// What isn't known is absent, not zero: a chart of zeros would lie.
func TestMetricsLeaveOutTheUnknown(t *testing.T) {
	body := scrape(t, agent.Status{Time: time.Now()})
	for _, name := range []string{"modem_signal_dbm", "queue_oldest_timestamp_seconds", "messages_delivered_timestamp_seconds", "link_changed_timestamp_seconds"} {
		if found := regexp.MustCompile(`(?m)^fieldpost_` + name + `.*`).FindString(body); found != "" {
			t.Errorf("unknown, and yet: %s", found)
		}
	}
}

// Names come from a configuration file; none of them may cost the rest of the metrics.
func TestMetricsSurviveBadNames(t *testing.T) {
	st := healthy(noon)
	st.Sources = []agent.SourceStatus{{Name: "same", Accepted: 1}, {Name: "same", Accepted: 2}, {Name: "bad\xff\n\"name"}}
	body := scrape(t, st)
	for _, want := range []string{`fieldpost_link_connected 1`, `fieldpost_source_messages_accepted_total{source="same"} 1`,
		`fieldpost_source_messages_accepted_total{source="bad` + "\uFFFD" + `\n\"name"} 0`} {
		if !has(body, want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
}
