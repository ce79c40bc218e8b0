package agent

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// A poison message makes the broker hang up, or is never answered, each time that it is sent, and everything behind it
// waits. It is found in three steps, none of which a bad link or a broken broker can take a good message through:
//
//  1. Whenever the broker itself ends a session in which nothing has arrived, the oldest message on its way is counted an
//     attempt in vain, or each of those that were gathered into it, which then travel by themselves; likewise a message that
//     the broker has and doesn't answer for. The count is kept on disk.
//  2. A message with Config.PoisonAfter attempts is suspect: others pass it. As soon as one of them has arrived, which shows
//     that link and broker work, it is sent alone.
//  3. If the session dies of it then, and of it alone once more, it is set aside: dropped from the queue, counted, and reported in
//     a loss receipt.
//
// While nothing else can show that the broker works, a suspect is tried again, alone and ever more rarely. It is set aside only if it
// is all that waits, and sessions that stood for long without it have died of it in a row: those were no bad link, for it had
// answered pings, and where everything dies more than one message waits.
//
// At QoS 2 the broker may hold what has killed the session, under its packet id: what was gathered stays together under that id, also
// when it is suspect. Only if sessions die of it alone is it taken apart, for which the broker has to forget its session.

const (
	// deathsAlone is how often a session has to die of a lone message, the first time one that worked: once may be chance.
	deathsAlone = 2
	// deathsLone is how often a session has to die of a message for which nothing vouches, because it is the only one. With the
	// pace below that takes about eleven hours: time enough to mend a broker that takes nothing at all.
	deathsLone = 3
	// standing is how long each of these sessions must have stood before: longer than any keepalive, so that the way has answered
	// after silences as long as the one before the message.
	standing = time.Hour
	// A suspect that nothing else vouches for is tried at this pace, since each time costs a connection.
	firstTrial = 10 * time.Minute
	lastTrial  = 6 * time.Hour
	// idle is how long nothing else may be there to send before a suspect is tried without a voucher.
	idle = time.Second
	// lastBreath is how long a session may take to end after it has failed a lone message. It lives on where QoS 0 can't be proved.
	lastBreath = 10 * time.Second
)

// ErrUndeliverable is wrapped by the error of Session.Publish for a message that can't be sent on any connection.
var ErrUndeliverable = errors.New("agent: message can't be sent")

// trial is what happened to one suspect. It belongs to the delivering goroutine, as all that follows.
type trial struct {
	deaths int       // alone, from the first one in a session that worked
	lone   int       // as the only message that waits, in sessions that had stood
	split  bool      // several that were gathered, and have to be sent one by one
	next   time.Time // not before, without a voucher
}

// suspect is a message that others pass, or several that were gathered and are in flight.
type suspect struct {
	parcel Parcel
	flight bool // it has a packet id, and goes as it is
}

// suspects are those that were resumed or that the reader has handed out in this session.
type suspects struct {
	held    []suspect
	idle    bool   // there was nothing else to send
	alone   uint64 // the one that is on its way alone; 0: none
	vouched bool   // something else had arrived before it left
	lone    bool   // the session had stood without it, and nothing else waits
}

func (a *Agent) isSuspect(m queue.Message) bool {
	return a.cfg.PoisonAfter > 0 && m.Attempts >= uint32(a.cfg.PoisonAfter)
}

// next returns the messages that travel together next, or a suspect that has to be alone.
func (c *courier) next(ctx context.Context) (group []queue.Message, alone *suspect, err error) {
	s := &c.suspects
	for {
		open, proved := c.trip.state()
		if m, ok := c.due(open, proved); ok {
			return nil, &m, nil
		}
		group, err = c.gather(ctx, open)
		switch {
		case err == nil && !c.agent.isSuspect(group[0]):
			return group, nil, nil
		case err == nil: // by itself, since the gatherer keeps it apart
			c.agent.board.passOver(group[0], time.Now())
			s.held = append(s.held, suspect{parcel: Parcel{Message: group[0]}})
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return nil, nil, err
		default:
			s.idle = true
		}
	}
}

// due takes out the first suspect if its turn has come: something else has arrived, or there is nothing else to send.
func (c *courier) due(open, proved int) (m suspect, ok bool) {
	s := &c.suspects
	for len(s.held) > 0 {
		m = s.held[0]
		lone := s.idle && open == 0 && !time.Now().Before(c.agent.trial(m.parcel.Seq).next)
		if proved == 0 && !lone {
			return m, false
		}
		s.held = s.held[1:]
		for _, seq := range m.parcel.members() {
			if _, err := c.agent.cfg.Queue.Get(seq); !isGone(err) { // else it was dropped meanwhile
				return m, true
			}
		}
	}
	return m, false
}

// gather is the gatherer's next; while suspects are held back it fails when it is time to look at them.
func (c *courier) gather(ctx context.Context, open int) ([]queue.Message, error) {
	s := &c.suspects
	s.idle = false
	if len(s.held) > 0 {
		wait := idle
		if open == 0 {
			wait = max(wait, time.Until(c.agent.trial(s.held[0].parcel.Seq).next))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	return c.gatherer.next(ctx)
}

// publishAlone sends a suspect when everything else has arrived, and waits for its fate.
func (c *courier) publishAlone(ctx context.Context, s suspect) error {
	if err := c.trip.quiet(ctx); err != nil {
		return err
	}
	_, proved := c.trip.state()
	c.suspects.alone, c.suspects.vouched = s.parcel.Seq, proved > 0
	c.suspects.lone = time.Since(c.begun) >= standing && c.agent.cfg.Queue.Stats().Waiting == len(s.parcel.members())
	var err error
	if s.flight {
		err = c.publishParcel(ctx, s.parcel)
	} else {
		err = c.publishGroup(ctx, []queue.Message{s.parcel.Message})
	}
	if err != nil {
		return err
	}
	if err := c.trip.quiet(ctx); err != nil {
		return err
	}
	if c.trip.head() != 0 { // usually the session dies of it: nothing else may leave meanwhile and take the blame
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lastBreath):
		}
	}
	c.suspects.alone = 0
	return nil
}

// quiet waits until nothing is on its way.
func (t *trip) quiet(ctx context.Context) error {
	for {
		if open, _ := t.state(); open == 0 {
			return nil
		}
		select {
		case <-t.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *Agent) trial(seq uint64) *trial {
	if a.trials[seq] == nil {
		a.trials[seq] = new(trial)
	}
	return a.trials[seq]
}

// blame finds the message that a session has died of, if it was one, and sets it aside when that is certain.
func (a *Agent) blame(c *courier, err error) {
	t, s := c.trip, &c.suspects
	var le *LinkError
	if a.cfg.PoisonAfter <= 0 || !errors.As(err, &le) {
		return
	}
	_, proved := t.state()
	culprit := le.Unanswered
	if culprit == 0 && le.HungUp && (proved == 0 || s.alone != 0) {
		culprit = t.head()
	}
	if culprit == 0 {
		return
	}
	if trial := a.trial(culprit); culprit == s.alone {
		if s.vouched || trial.deaths > 0 {
			trial.deaths++
		} else if s.lone {
			trial.lone++
		}
		switch {
		case trial.deaths < deathsAlone && trial.lone < deathsLone:
		case len(t.with(culprit)) > 0:
			trial.deaths, trial.lone, trial.split = 0, 0, true
		default:
			a.setAside(culprit, err)
			return
		}
	}
	// Which of those that were gathered it was can't be told: from now on each of them goes by itself, at QoS 2 when it has to.
	if err := a.cfg.Queue.AddAttempts(append([]uint64{culprit}, t.with(culprit)...)...); err != nil {
		return // the storage has failed, and the agent ends
	}
	m, err := a.cfg.Queue.Get(culprit)
	if err != nil || !a.isSuspect(m) {
		return
	}
	steps := min(int(m.Attempts)-a.cfg.PoisonAfter, 8)
	a.board.passOver(m, time.Now())
	a.trial(culprit).next = time.Now().Add(min(firstTrial<<steps, lastTrial))
	a.cfg.Log.Warn().Uint64("seq", culprit).Str("topic", m.Topic).Int("bytes", len(m.Payload)).Uint32("attempts", m.Attempts).
		Msg("the broker ends the connection whenever this message is sent; others pass it")
}

// setAside takes a message out of the way for good.
func (a *Agent) setAside(seq uint64, why error) {
	m, err := a.cfg.Queue.Get(seq)
	if err == nil {
		err = a.cfg.Queue.Drop(queue.ReasonPoison, seq)
	}
	delete(a.trials, seq)
	if err != nil {
		return // it has gone meanwhile, or the storage has failed, which ends the agent
	}
	a.board.forget(seq)
	a.board.gaveUp(m, time.Now())
	a.cfg.Log.Error().AnErr("why", why).Uint64("seq", seq).Str("topic", m.Topic).Int("bytes", len(m.Payload)).
		Msg("message can't be delivered and is set aside; a loss receipt tells the cloud")
}
