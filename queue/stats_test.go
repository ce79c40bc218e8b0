package queue_test

import (
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// What is released but still on disk waits in no lane and in no sum, and is not the oldest.
func TestStatsAgreeWithThemselves(t *testing.T) {
	q := open(t, queue.Config{ReleaseWait: time.Hour})
	put(t, q, text(queue.Alarm, "a1", "a2")...)
	old := text(queue.Normal, "n1", "n2")
	old[0].Time, old[1].Time = time.UnixMilli(1_000).UTC(), time.UnixMilli(2_000).UTC()
	put(t, q, old...)
	if err := q.Release(1, 2, 3, 3, 99); err != nil {
		t.Fatal(err)
	}
	s := q.Stats()
	alarm, normal := s.Lanes[queue.Alarm], s.Lanes[queue.Normal]
	if s.Waiting != 1 || alarm.Waiting != 0 || normal.Waiting != 1 {
		t.Errorf("%d wait, %d alarm, %d normal; want 1, 0, 1", s.Waiting, alarm.Waiting, normal.Waiting)
	}
	if s.Messages != 4 || alarm.Messages != 2 || normal.Messages != 2 {
		t.Errorf("%d on disk, %d alarm, %d normal; want 4, 2, 2", s.Messages, alarm.Messages, normal.Messages)
	}
	if !alarm.Oldest.IsZero() || !normal.Oldest.Equal(old[1].Time) {
		t.Errorf("the oldest are from %v and %v, want none and %v", alarm.Oldest, normal.Oldest, old[1].Time)
	}
}
