package agent

import (
	"errors"
	"maps"
	"slices"

	"github.com/fieldpost/fieldpost/queue"
)

// resumption says how a flight is taken up again; ok is false for one that isn't, whose messages are published anew.
//
// At QoS 2 that would be a second delivery if the broker has the first one and only its PUBREC was lost: what is not known as
// received goes again under its packet id, and what is received is only released.
func (a *Agent) resumption(f queue.Flight) (r Resume, ok bool, err error) {
	r.Flight = f
	group, err := a.membersOf(f)
	if err != nil {
		return r, true, err
	}
	if r.Gone = len(group) == 0; r.Gone && !f.Exact {
		return r, false, nil
	}
	if a.stubborn[f.Seq] >= mostClings {
		a.cfg.Log.Warn().Uint64("seq", f.Seq).Uint16("packet_id", f.PacketID).Bool("dropped", r.Gone).
			Msg("the broker doesn't let go of a packet id: it is told to forget its session, and what it has of that message may arrive a second time")
		r.Anew = true
		return r, true, nil
	}
	if r.Gone {
		return r, true, nil
	}
	var seqs []uint64
	for _, m := range group {
		seqs = append(seqs, m.Seq)
	}
	a.board.sentBefore(seqs)
	if f.Received {
		return r, true, nil
	}
	first := group[0]
	suspect := a.isSuspect(first)
	trial := a.trials[f.Seq]
	parcel, remade := a.packer.again(f, group)
	switch {
	case first.QoS < 2:
		// A suspect would leave first and not alone, and of several one may be poison.
		if remade != nil || suspect || len(f.More) > 0 && first.Attempts > 0 {
			return r, false, nil
		}
	case remade != nil, len(f.More) > 0 && trial != nil && trial.split:
		a.cfg.Log.Warn().Uint64("seq", f.Seq).Int("messages", len(group)).
			Msg("messages that were sent together at QoS 2 have to be sent one by one: the broker is told to forget its session")
		r.Anew = true
		return r, true, nil
	default:
		r.Held = suspect
	}
	r.Message = parcel.Message
	return r, true, nil
}

// membersOf are those messages of a flight that are still there.
func (a *Agent) membersOf(f queue.Flight) (group []queue.Message, err error) {
	for _, seq := range append([]uint64{f.Seq}, f.More...) {
		m, err := a.cfg.Queue.Get(seq)
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(group) > 0 {
			m.History = group[0].History // stored with the first one only
		}
		group = append(group, m)
	}
	return group, nil
}

// mostClings sessions in a row that end over the freeing of a packet id are no chance: with the waits between them that takes an
// hour or more. To discard the broker's session is the only way out then, and costs exactly once for what it holds.
const mostClings = 10

// clings notes that a session has died of a packet id that was only to be freed, because the broker has the message or nobody has
// it any more. No message is to blame for that.
func (a *Agent) clings(t *trip, err error) bool {
	var le *LinkError
	if !errors.As(err, &le) {
		return false
	}
	culprit := le.Unanswered
	if _, proved := t.state(); culprit == 0 && le.HungUp && proved == 0 {
		if culprit = t.head(); culprit == 0 {
			culprit = t.orphan()
		}
	}
	flights, ferr := a.cfg.Queue.Flights()
	at := slices.IndexFunc(flights, func(f queue.Flight) bool { return f.Seq == culprit })
	if ferr != nil || at < 0 {
		return false
	}
	if f := flights[at]; !f.Received {
		if _, err := a.cfg.Queue.Get(f.Seq); !isGone(err) {
			return false
		}
	}
	if a.stubborn == nil {
		a.stubborn = make(map[uint64]int)
	}
	a.stubborn[culprit]++
	return true
}

// forgetStubborn drops the counts of packet ids that are free.
func (a *Agent) forgetStubborn(flights []queue.Flight) {
	maps.DeleteFunc(a.stubborn, func(seq uint64, _ int) bool {
		return !slices.ContainsFunc(flights, func(f queue.Flight) bool { return f.Seq == seq })
	})
}
