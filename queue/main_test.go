package queue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// long reports whether the long form of the random tests is asked for, as scripts/soak does: FIELDPOST_SOAK makes them run
// for minutes whatever duration it holds, with at least 20000 crash images and 1000 rounds of kill -9.
func long() bool { return os.Getenv("FIELDPOST_SOAK") != "" }

// The tests run themselves again as a child process that does one of these things to the queue at childPath.
const (
	childMode = "FIELDPOST_QUEUE_CHILD"
	childPath = "FIELDPOST_QUEUE_PATH"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "":
		os.Exit(m.Run())
	case "load":
		childLoad(os.Getenv(childPath))
	case "steps":
		childSteps(os.Getenv(childPath))
	case "compact":
		childCompact(os.Getenv(childPath))
	case "cursor":
		childCursor(os.Getenv(childPath))
	case "orphans":
		childOrphans(os.Getenv(childPath))
	case "hold":
		childHold(os.Getenv(childPath))
	}
	os.Exit(0)
}

// childLimit is far more than any child needs on a slow machine with the race detector.
const childLimit = 2 * time.Minute

// child returns a command that runs this binary in a mode, under the tool before it if there is one. Beyond its limit the
// whole of it is told to end with a stack of each goroutine, and then killed.
func child(t *testing.T, mode, path string, tool ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(tool, self)
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error {
		time.AfterFunc(cmd.WaitDelay/2, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGQUIT)
	}
	// The race detector would sleep for a second at the end of each child, of which some tests have dozens.
	cmd.Env = append(os.Environ(), childMode+"="+mode, childPath+"="+path, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// say prints one line in one write, so that what was said before a kill is whole.
func say(format string, args ...any) { os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n") }

func childOpen(path string) *queue.Queue {
	q, err := queue.Open(queue.Config{Path: path, MaxBytes: 8 << 20, Reserve: 64 << 10, ReleaseWait: 5 * time.Millisecond, KeepReleased: 16 << 10})
	if err != nil {
		say("open %v", err)
		os.Exit(3)
	}
	if q.Recovery() != nil {
		say("damage %v", q.Recovery().Damage)
	}
	return q
}

// childLoad puts, reads and releases from several goroutines until it is killed, and says what it does:
// "ack M" after a Put, "read M" before a Release, "gone M" once that is on disk.
func childLoad(path string) {
	q := childOpen(path)
	run := os.Getpid()
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d.%d.%d", run, p, i)
				if _, err := q.Put(context.Background(), queue.Message{Topic: fmt.Sprint("p/", p), Payload: []byte(name + strings.Repeat(" ", i%700))}); err != nil {
					say("open %v", err)
					os.Exit(3)
				}
				say("ack %s", name)
			}
		})
	}
	wg.Go(func() { childConsume(q) })
	wg.Wait()
}

// childConsume keeps some 50 messages in the queue.
func childConsume(q *queue.Queue) {
	r := q.Reader()
	var batch []string
	for {
		m, err := r.Next(context.Background())
		if err != nil {
			say("open %v", err)
			os.Exit(3)
		}
		for q.Stats().Waiting < 50 {
			time.Sleep(time.Millisecond)
		}
		name := strings.TrimSpace(string(m.Payload))
		say("read %s", name)
		q.Release(m.Seq)
		if batch = append(batch, name); len(batch) == 10 {
			q.Sync(context.Background())
			for _, name := range batch {
				say("gone %s", name)
			}
			batch = batch[:0]
		}
	}
}

// childSteps does the same things one after the other, and ends by itself.
func childSteps(path string) {
	q := childOpen(path)
	ctx := context.Background()
	r := q.Reader()
	for i := range 14 {
		name := fmt.Sprint("m", i)
		size := 50
		if i%5 == 3 {
			size = 9000
		}
		_, err := q.Put(ctx, queue.Message{Topic: "t", Lane: queue.Lane(1 + i%3), Payload: []byte(name + strings.Repeat(" ", size))})
		if err != nil {
			say("nak %s %v", name, kind(err))
		} else {
			say("ack %s", name)
		}
		if i%3 == 2 {
			short, cancel := context.WithTimeout(ctx, time.Second)
			m, err := r.Next(short)
			cancel()
			if err != nil {
				continue
			}
			name := strings.TrimSpace(string(m.Payload))
			say("read %s", name)
			q.SaveFlight(ctx, queue.Flight{Seq: m.Seq, PacketID: uint16(i)}, i%2 == 0)
			q.Release(m.Seq)
			if q.Sync(ctx) == nil {
				say("gone %s", name)
			}
		}
	}
	select {
	case <-q.Done():
		say("failed %v", kind(q.Err()))
	default:
	}
	q.Close()
	say("closed")
}

// childCompact fills and drains a queue until its file is changed for a smaller one.
func childCompact(path string) {
	q := childOpen(path)
	ctx := context.Background()
	padding := strings.Repeat(" ", 100<<10)
	put := func(name, padding string) uint64 {
		seq, err := q.Put(ctx, queue.Message{Topic: "t", Payload: []byte(name + padding)})
		if err != nil {
			say("nak %s %v", name, kind(err))
			os.Exit(3)
		}
		say("ack %s", name)
		return seq
	}
	for i := range 40 {
		put(fmt.Sprint("m", i), padding)
	}
	for i := range 38 {
		say("read m%d", i)
		q.Release(uint64(i + 1))
	}
	if q.Sync(ctx) == nil {
		for i := range 38 {
			say("gone m%d", i)
		}
	}
	for i := range 3 {
		put(fmt.Sprint("after", i), "")
	}
	for q.Stats().Compactions == 0 {
		q.Sync(ctx)
	}
	q.Close()
}

// kind names the error that a caller would branch on.
func kind(err error) string {
	for name, e := range map[string]error{
		"failed": queue.ErrFailed, "readonly": queue.ErrReadOnly, "full": queue.ErrFull, "diskfull": queue.ErrDiskFull, "closed": queue.ErrClosed,
	} {
		if errors.Is(err, e) {
			return name
		}
	}
	return "other"
}

// childCursor stores message after message and their number in a cursor, and says each number, until it is killed.
func childCursor(path string) {
	q := childOpen(path)
	value, _ := q.Cursor("count")
	n, _ := strconv.Atoi(string(value))
	for {
		n++
		if _, err := q.PutAt(context.Background(), queue.Cursor{Name: "count", Value: []byte(strconv.Itoa(n))},
			queue.Message{Topic: "t", Payload: []byte(strconv.Itoa(n))}); err != nil {
			say("open %v", err)
			os.Exit(3)
		}
		say("ack %d", n)
	}
}

// killAfterWords kills the child some time after it has said that many lines.
func killAfterWords(t *testing.T, cmd *exec.Cmd, lines int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for range lines {
		if !in.Scan() {
			t.Errorf("the child ended by itself: %v", in.Err())
			break
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
}

// childHold opens the queue and keeps it until its standard input ends.
func childHold(path string) {
	q := childOpen(path)
	say("held")
	bufio.NewReader(os.Stdin).ReadString('\n')
	q.Close()
}

// ledger is what a child has said.
type ledger struct {
	acked, read, gone map[string]bool
	order             []string // of the acks
}

func newLedger() *ledger {
	return &ledger{acked: map[string]bool{}, read: map[string]bool{}, gone: map[string]bool{}}
}

func (l *ledger) hear(line string) {
	what, name, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch what {
	case "ack":
		l.acked[name] = true
		l.order = append(l.order, name)
	case "read":
		l.read[name] = true
	case "gone":
		l.gone[name] = true
	}
}

// judge compares the ledger with what is in the queue: nothing acknowledged is missing, nothing durably released is back,
// and each producer's messages are in order.
func (l *ledger) judge(q *queue.Queue) error {
	stored := map[string]bool{}
	last := map[string]uint64{}
	for m, err := range q.All() {
		if err != nil {
			return err
		}
		name := strings.TrimSpace(string(m.Payload))
		if stored[name] {
			return fmt.Errorf("%s is there twice", name)
		}
		stored[name] = true
		if l.gone[name] {
			return fmt.Errorf("%s is back, though its release was on disk", name)
		}
		if dot := strings.LastIndex(name, "."); dot > 0 {
			var n uint64
			fmt.Sscan(name[dot+1:], &n)
			if before, ok := last[name[:dot]]; ok && n <= before {
				return fmt.Errorf("%s comes after number %d", name, before)
			}
			last[name[:dot]] = n
		}
	}
	for name := range l.acked {
		if !stored[name] && !l.read[name] {
			return fmt.Errorf("%s was acknowledged and is lost", name)
		}
	}
	return nil
}

// tempDir is a folder in memory if there is one: what counts there is the order of calls, not the disk.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "queue")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// tool returns the path of a program that a test can't do without.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("this test needs %s, which is not installed (scripts/test installs it)", name)
	}
	return path
}
