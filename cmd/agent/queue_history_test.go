package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/queue"
)

// What waited through an outage is published as history with live_first, each topic in order; with in_order it isn't.
func TestHistoryIsMarked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ settings, prefix string }{
		{"queue: {drain: live_first}", "history/"},
		{"queue: {drain: live_first, history_topic: old/ones}", "old/ones/"},
		{`queue: {drain: live_first, history_topic: ""}`, ""},
		{"queue: {drain: in_order}", ""},
	} {
		t.Run(tc.settings, func(t *testing.T) {
			t.Parallel()
			broker := startMosquitto(t, "")
			cloud := subscribe(t, broker.addr, "#")
			s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtt://%s\"}\npresence: {topic: \"off\"}\n%s\n", broker.addr, tc.settings))
			var up unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
				t.Fatal(err)
			}
			// An hour of outage is a queue that was filled an hour earlier in the life of this boot, or almost.
			before := max(0, time.Duration(up.Nano())-time.Hour)
			if time.Duration(up.Nano())-before < 2*time.Minute {
				t.Skip("the machine has only just started; this test needs one that is up for two minutes")
			}
			q, err := queue.Open(queue.Config{Path: filepath.Join(s.data, "queue.db"), SinceBoot: max(before, 1)})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				lane := queue.Normal
				if i == 9 {
					lane = queue.Alarm
				}
				if _, err := q.Put(t.Context(), queue.Message{Topic: "site/" + lane.String(), Lane: lane, QoS: 1, Payload: fmt.Append(nil, i)}); err != nil {
					t.Fatal(err)
				}
			}
			q.Close()
			agent := fieldpost(t, "agent", "run", "--config", s.conf)
			agent.waitFor(`"connected"`, time.Minute)
			eventually(t, "the broker has what waited", 30*time.Second, func() bool { return cloud.different() >= 10 })
			if got := post(t, s, "site/normal", "100"); got != http.StatusAccepted {
				t.Fatalf("HTTP: got %d", got)
			}
			eventually(t, "the broker has the new reading", 30*time.Second, func() bool { return cloud.different() >= 11 })
			cloud.mu.Lock()
			defer cloud.mu.Unlock()
			past, live := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, []int{100}
			if tc.prefix == "" {
				live = append(slices.Clone(past), live...)
			} else if got := cloud.order[tc.prefix+"site/normal"]; !slices.Equal(got, past) {
				t.Errorf("history: got %v, want %v", got, past)
			}
			if got := cloud.order["site/normal"]; !slices.Equal(got, live) {
				t.Errorf("the present: got %v, want %v", got, live)
			}
			if got := cloud.order["site/alarm"]; !slices.Equal(got, []int{9}) {
				t.Errorf("alarms are no history: got %v", got)
			}
		})
	}
}
