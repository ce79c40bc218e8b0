package queue

import (
	"context"
	"runtime"
	"time"
)

// request is what a caller wants to be in the next commit: messages, a job, or neither (Sync).
type request struct {
	msgs   []Message
	cursor *Cursor          // stored with the messages
	keep   bool             // drop nothing for them
	job    func(*txn) error // fails only if the commit has to fail
	taken  bool             // by a commit; guarded by mu
	gone   bool             // its caller has given up; guarded by mu
	first  uint64           // answer, set before the group is done
	err    error            // likewise
}

// group is the requests that share a commit. The first caller to join commits for all, in its own goroutine, as soon as
// it has the turn: a lone producer waits for nobody, and those who come while a commit runs share the next one.
type group struct {
	requests []*request    // guarded by mu until a commit has taken them
	urgent   bool          // some request doesn't wait for CommitWait; guarded by mu
	hurry    chan struct{} // closed once urgent is true
	orphan   bool          // the first caller has given up; guarded by mu
	done     chan struct{} // closed when all are answered
}

// send joins the next commit and waits for the answer. Once the commit has taken r, ctx doesn't matter any more: the
// answer comes when the disk has spoken.
func (q *Queue) send(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.err != nil {
		defer q.mu.Unlock()
		return q.err
	}
	g := q.next
	if g == nil {
		g = &group{done: make(chan struct{}), hurry: make(chan struct{})}
		q.next = g
	}
	g.requests = append(g.requests, r)
	first, hurry := len(g.requests) == 1, len(r.msgs) == 0 && !g.urgent
	g.urgent = g.urgent || hurry
	q.mu.Unlock()
	if hurry {
		close(g.hurry)
	}
	if first {
		q.lead(ctx, g)
	}
	select {
	case <-g.done:
		return r.err
	case <-ctx.Done():
	}
	q.mu.Lock()
	r.gone = !r.taken
	q.mu.Unlock()
	if r.gone {
		return ctx.Err()
	}
	<-g.done
	return r.err
}

// lead commits the group when it has the turn. If ctx ends before, the keeper does it.
func (q *Queue) lead(ctx context.Context, g *group) {
	select {
	case q.turn <- struct{}{}:
	case <-g.done: // the keeper was first
		return
	case <-ctx.Done():
		q.leave(g)
		return
	}
	if !q.waitForOthers(ctx, g) {
		<-q.turn
		q.leave(g)
		return
	}
	if g := q.takeGroup(); g != nil {
		q.commitGroup(g)
	}
	<-q.turn
}

// leave hands the group to the keeper.
func (q *Queue) leave(g *group) {
	q.mu.Lock()
	g.orphan = true
	q.mu.Unlock()
	q.nudge()
}

// commitGroup commits and answers; g may be nil, if only what waits beside it is to be committed.
func (q *Queue) commitGroup(g *group) {
	if g == nil {
		q.commit(nil)
		return
	}
	q.commit(g.requests)
	close(g.done)
}

// waitForOthers gives others the time to join: as configured, and else as long as some do. Producers whose last commit was
// answered a moment ago need that; a lone one pays an empty yield. It returns false if ctx has ended.
func (q *Queue) waitForOthers(ctx context.Context, g *group) bool {
	if q.cfg.CommitWait > 0 {
		timer := time.NewTimer(q.cfg.CommitWait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-g.hurry:
		case <-q.closing:
		case <-ctx.Done():
			return false
		}
		return true
	}
	for before, n := 0, 1; n > before; {
		before = n
		runtime.Gosched()
		q.mu.Lock()
		n = len(g.requests)
		q.mu.Unlock()
	}
	return true
}

// takeGroup returns those who wait, without those who have given up; nil if there is nobody.
func (q *Queue) takeGroup() *group {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.next
	q.next = nil
	if g == nil {
		return nil
	}
	stay := g.requests[:0]
	for _, r := range g.requests {
		if !r.gone {
			r.taken = true
			stay = append(stay, r)
		}
	}
	g.requests = stay
	return g
}

// do runs job in the next commit and returns when that is on disk.
func (q *Queue) do(ctx context.Context, job func(*txn) error) error {
	return q.send(ctx, &request{job: job})
}

// Sync returns when all that was released and noted before is on disk. It costs nothing if all is.
func (q *Queue) Sync(ctx context.Context) error {
	return q.send(ctx, &request{})
}
