package agent

import (
	"errors"
	"strings"

	"github.com/fieldpost/fieldpost/queue"
)

// QueueStatusOf reads the state of a queue.
func QueueStatusOf(q *queue.Queue) QueueStatus {
	s := q.Stats()
	st := QueueStatus{
		Messages: uint64(s.Waiting), Bytes: uint64(s.Bytes), MaxBytes: uint64(s.MaxBytes), FileBytes: uint64(s.FileBytes),
		Lanes: make(map[string]uint64), Dropped: make(map[string]uint64),
	}
	for lane, l := range s.Lanes {
		st.Lanes[lane.String()] = uint64(l.Waiting)
		if !l.Oldest.IsZero() && (st.OldestAt == nil || l.Oldest.Before(*st.OldestAt)) {
			st.OldestAt = &l.Oldest
		}
	}
	for _, loss := range s.Losses {
		st.Dropped[string(loss.Reason)] += loss.Messages
	}
	if r := q.Recovery(); r != nil {
		st.Recovery = &RecoveryStatus{Damage: r.Damage.Error(), SetAside: r.SetAside, Saved: uint64(r.Saved), Lost: uint64(r.Lost), Unsure: uint64(r.Unsure), More: r.More}
	}
	if err := q.Refusing(); err != nil {
		st.Refusing = strings.TrimPrefix(err.Error(), "queue: ")
	}
	if err := q.Err(); err != nil && !errors.Is(err, queue.ErrReadOnly) { // which Refusing says
		st.Error = err.Error()
	}
	return st
}
