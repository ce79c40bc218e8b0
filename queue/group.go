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

// group is requests that share a commit. The first caller to join commits for all, in its own goroutine, as soon as
// it has the turn: a lone producer waits for nobody, and those who come while a commit is flushed share the next one.
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
	if ctx.Done() == nil { // a plain receive costs half of what a select does
		<-g.done
		return r.err
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
	case <-g.done: // another commit had room for it
		return
	case <-ctx.Done():
		q.leave(g)
		return
	}
	if q.cfg.CommitWait > 0 && !q.waitForOthers(ctx, g) {
		<-q.turn
		q.leave(g)
		return
	}
	if b := new(batch); q.gather(b, false) {
		q.commit(b)
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

// waitForOthers gives others Config.CommitWait to join. It returns false if ctx has ended.
func (q *Queue) waitForOthers(ctx context.Context, g *group) bool {
	timer := time.NewTimer(q.cfg.CommitWait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.hurry:
	case <-g.done:
	case <-q.closing:
	case <-ctx.Done():
		return false
	}
	return true
}

// batch is what one commit answers: the group whose turn it was, and those that formed while it was prepared.
type batch struct {
	groups   []*group
	requests []*request // of all of them
}

const (
	// maxBatch requests keep a commit from being prepared for ever while ever more producers come.
	maxBatch = 1024
	// fruitless looks end the wait for producers that are likely to come back: some microseconds.
	fruitless = 16
)

// gather adds those who wait to the batch, without those who have given up, and reports whether there was anybody. With
// late the transaction has begun: a Sync that comes then waits for a note which it hasn't taken along.
// It is called by whoever has the turn.
func (q *Queue) gather(b *batch, late bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.next
	if g == nil || late && g.urgent {
		return false
	}
	q.next = nil
	b.groups = append(b.groups, g)
	before := len(b.requests)
	for _, r := range g.requests {
		if !r.gone {
			r.taken = true
			b.requests = append(b.requests, r)
		}
	}
	return len(b.requests) > before
}

// gatherMore adds those who have come while the batch was prepared. Producers whose last commit was answered a moment ago
// are likely to be on their way and get a chance to run; a lone producer waits for nobody.
func (q *Queue) gatherMore(b *batch) bool {
	for look := 0; len(b.requests) < maxBatch; look++ {
		if q.gather(b, true) {
			return true
		}
		if len(b.requests) >= q.expected || look == fruitless {
			return false
		}
		runtime.Gosched()
	}
	return false
}

// answer tells all in the batch that its commit is over.
func (q *Queue) answer(b *batch) {
	q.expected = len(b.requests)
	q.mu.Lock()
	if q.next != nil {
		q.expected += len(q.next.requests)
	}
	q.mu.Unlock()
	for _, g := range b.groups {
		close(g.done)
	}
}

// do runs job in the next commit and returns when that is on disk.
func (q *Queue) do(ctx context.Context, job func(*txn) error) error {
	return q.send(ctx, &request{job: job})
}

// Sync returns when all that was released and noted before is on disk. It costs nothing if all is.
func (q *Queue) Sync(ctx context.Context) error {
	return q.send(ctx, &request{})
}
