package queue

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Queue is an open queue. All methods may be called concurrently.
type Queue struct {
	cfg      Config // set once in Open
	lock     *fileLock
	recovery *Recovery // set once in Open

	store    atomic.Pointer[store] // compaction replaces it
	turn     chan struct{}         // holds one: who put it there may commit
	kick     chan struct{}         // the keeper is to look what is due
	closing  chan struct{}         // closed by Close
	stopped  chan struct{}         // closed when the keeper has ended
	done     chan struct{}         // closed on failure and on Close
	closeOne sync.Once

	importing chan struct{} // holds one: who put it there imports
	spare     sync.Pool     // of *request, empty

	// Of whoever has the turn.
	used, fileSize, reserved int64 // bytes in use, of the file, held ready on the disk
	origins                  originTable
	kept                     keptState // as of the last commit; changed with mu held
	arena                    []byte    // records of the commit under way
	expected                 int       // how many producers the next commit is likely to find
	writeErrors              int       // in a row
	needed                   [2]int64  // what the commit was to take that found no room
	nextCompact              time.Time
	panicked                 bool // bbolt has, and holds its locks

	mu          sync.Mutex // guards what follows; never held across I/O or a channel operation
	err         error      // why done is closed; nil while it is not
	next        *group     // those who wait for the turn; nil if nobody does
	removeBy    time.Time  // when removals and notes are due; zero if none wait
	lossBy      time.Time  // when open losses are; zero if there are none
	wantCompact bool
	refusing    error // see Refusing
	clock       clock
	lanes       [laneSlots]laneState
	seq         uint64 // the last one given
	originList  originList
	refs        map[[16]byte]clockRef // replaced, never changed
	losses      lossTable             // replaced, never changed
	removals    []removal             // waiting for a commit
	removing    map[uint64]struct{}   // those, and those of the commit under way
	flights     map[uint64]flight
	flightDirty map[uint64]struct{} // differ from the disk
	attempts    map[uint64]uint32
	triesDirty  map[uint64]struct{}
	reader      *Reader       // the newest
	cuts        uint64        // rises when messages vanish that a Reader may hold
	wake        chan struct{} // closed and replaced when there may be something new for Readers; nil if none waits
	accepted    uint64
	released    uint64
	compactions uint64
	commits     uint64
}

// laneState is what is known of a lane without reading it.
type laneState struct {
	Count int    `json:"n"`
	Bytes int64  `json:"bytes"`
	Head  uint64 `json:"head"` // lowest sequence stored, if Count > 0
	Tail  uint64 `json:"tail"` // highest sequence ever stored
}

// removal is a message that is to go.
type removal struct {
	seq    uint64
	reason Reason // "" for a release
}

// Open opens the queue, and makes it if there is none. After an unclean stop the file is verified first, and if it is
// damaged, what can be read is saved into a new one; Recovery tells. A queue that another process holds gives a
// LockedError within two seconds; one of a newer version a FormatError.
func Open(cfg Config) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	clk, err := machineClock(cfg)
	if err != nil {
		return nil, err
	}
	if err := prepareDir(cfg.Path); err != nil {
		return nil, err
	}
	lock, err := lockFile(cfg.Path)
	if err != nil {
		return nil, err
	}
	q := newQueue(cfg, lock, clk)
	if err := q.start(); err != nil {
		if s := q.store.Load(); s != nil {
			s.db.Close()
		}
		// This start has ended in good order: it says nothing about the file.
		state := stateRunning
		if lock.clean {
			state = stateClean
		}
		lock.starts = 0
		return nil, errors.Join(err, lock.write(state), lock.release())
	}
	go q.keep() // Close waits for it
	return q, nil
}

func newQueue(cfg Config, lock *fileLock, clk clock) *Queue {
	q := &Queue{
		cfg: cfg, lock: lock, clock: clk,
		turn: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		importing: make(chan struct{}, 1), closing: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{}),
		removing: map[uint64]struct{}{}, flightDirty: map[uint64]struct{}{}, triesDirty: map[uint64]struct{}{},
	}
	q.spare.New = func() any { return new(request) }
	return q
}

// start brings a whole file under q and loads what is kept in memory.
func (q *Queue) start() error {
	clean := q.lock.clean
	q.lock.starts++
	if err := q.lock.write(stateOpening); err != nil {
		return err
	}
	s, err := q.openOrRecover(clean)
	if err != nil {
		return err
	}
	q.store.Store(s)
	if err := q.load(); err != nil {
		return err
	}
	s.letGo(q.fileSize) // after an unclean stop every page was read
	q.lock.starts = 0
	return q.lock.write(stateRunning)
}

// load reads the small tables and the state of the lanes.
func (q *Queue) load() error {
	s := q.store.Load()
	size, err := s.identify()
	if err != nil {
		return err
	}
	q.fileSize = size
	if err := q.pruneOrigins(); err != nil {
		return err
	}
	if err := q.loadAll(); err != nil {
		return err
	}
	q.dropKept()
	q.measure()
	return nil
}

func (q *Queue) loadAll() error {
	return q.view(func(tx *bbolt.Tx) error {
		if err := q.origins.load(tx.Bucket(bucketOrigins)); err != nil {
			return err
		}
		q.originList = q.origins.list
		q.kept = loadKept(tx)
		q.loadTables(tx)
		if q.recovery == nil {
			q.recovery = loadRecovery(tx)
		}
		lanes, ok := cleanSummary(tx)
		if !ok {
			var err error
			if lanes, err = scanLanes(tx); err != nil {
				return err
			}
		}
		q.lanes = lanes
		for _, l := range lanes {
			q.seq = max(q.seq, l.Tail)
		}
		return nil
	})
}

func (q *Queue) loadTables(tx *bbolt.Tx) {
	q.refs = make(map[[16]byte]clockRef)
	tx.Bucket(bucketClocks).ForEach(func(k, v []byte) error {
		if r, ok := parseClockRef(v); ok && len(k) == 16 {
			q.refs[[16]byte(k)] = r
		}
		return nil
	})
	if r, ok := q.refs[q.clock.boot]; ok {
		q.clock.trust, q.clock.known = TrustKnown, r
	}
	q.flights, q.attempts = loadFlights(tx), loadAttempts(tx)
	q.losses = loadLosses(tx.Bucket(bucketLosses))
	if q.losses.open() {
		q.lossBy = time.Now().Add(q.cfg.LossWait)
	}
}

// Close flushes what waits, marks the file as cleanly stopped, and gives the lock up. Puts that wait fail with ErrClosed.
// It returns nil also after a failure of the storage that Err reports already.
func (q *Queue) Close() error {
	q.closeOne.Do(func() { close(q.closing) })
	<-q.stopped
	return nil
}

// Done is closed when the queue takes nothing any more: after Close, or because the storage failed. In the latter case
// Err says why, nothing further is acknowledged, and the process should end and start anew, so that the file is verified.
func (q *Queue) Done() <-chan struct{} { return q.done }

// Err returns nil while the queue works, ErrClosed after Close, an error that wraps ErrFailed if the storage failed, and one that
// wraps ErrReadOnly after OpenReadOnly.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// Epoch is the random number of this file: the first part of the ID of each message that was put into it.
func (q *Queue) Epoch() [8]byte { return q.store.Load().epoch }

// end closes done, the first time.
func (q *Queue) end(err error) {
	q.mu.Lock()
	first := q.err == nil
	if first {
		q.err = err
	}
	q.mu.Unlock()
	if first {
		close(q.done)
	}
}

// fail ends the work of the queue: its storage can't be relied on.
func (q *Queue) fail(err error) {
	if !errors.Is(err, ErrFailed) {
		err = fmt.Errorf("%w: %w", ErrFailed, err)
	}
	q.end(fmt.Errorf("%w; nothing was acknowledged since, start again to have %s verified", err, q.cfg.Path))
}

// finish is what the keeper does last.
func (q *Queue) finish(clean bool) {
	s := q.store.Load()
	if !q.panicked { // else Close would wait for bbolt's locks for ever; the process ends anyway
		if s.db.Close() != nil {
			clean = false
		}
	}
	if clean {
		// Without the mark the next start verifies the file, which is no harm.
		q.lock.list = listSum(q.cfg.Path)
		q.lock.write(stateClean)
	}
	q.lock.release()
}

// waiter returns a channel that is closed at the next change that may concern a Reader.
func (q *Queue) waiter() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wake == nil {
		q.wake = make(chan struct{})
	}
	return q.wake
}

// removed returns the messages that are to go but may still be on disk; nil if there are none.
func (q *Queue) removed() map[uint64]struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.removing) == 0 {
		return nil
	}
	return maps.Clone(q.removing)
}
