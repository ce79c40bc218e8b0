package agent

import (
	"github.com/fieldpost/fieldpost/queue"
)

// resumption says how a flight is taken up again; ok is false for one that isn't, whose messages are published anew.
//
// At QoS 2 that would be a second delivery if the broker has the first one and only its PUBREC was lost: what is not known as
// received goes again under its packet id, and what is received is only released.
func (a *Agent) resumption(f queue.Flight) (r Resume, ok bool, err error) {
	r.Flight = f
	group, err := a.membersOf(f)
	if err != nil || len(group) == 0 {
		return r, true, err
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
