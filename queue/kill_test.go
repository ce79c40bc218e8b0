package queue_test

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// A child under load is killed at a random moment, again and again on the same file.
func TestKill(t *testing.T) {
	rounds := 15
	if long() {
		rounds = 1000
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	l := newLedger()
	for round := range rounds {
		heard := killOnce(t, path, l, time.Duration(rand.IntN(60)+5)*time.Millisecond)
		if round%2 == 0 { // in the other rounds the next child meets the file as it was left
			judge(t, path, l, round)
		}
		if heard == 0 {
			t.Fatalf("round %d: the child said nothing", round)
		}
	}
	judge(t, path, l, rounds)
	if len(l.acked) < rounds {
		t.Errorf("only %d messages were acknowledged in %d rounds", len(l.acked), rounds)
	}
	check(t, path)
}

// killOnce starts a child and kills it some time after its first word.
func killOnce(t *testing.T, path string, l *ledger, after time.Duration) (heard int) {
	t.Helper()
	cmd := child(t, "load", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // what was cut off was not said
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			return heard
		}
		if heard++; heard == 1 {
			timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
			defer timer.Stop()
		}
		if l.hear(line); line[:4] == "open" || line[:4] == "dama" {
			t.Errorf("child: %s", line)
		}
	}
}

func judge(t *testing.T, path string, l *ledger, round int) {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer q.Close()
	if q.Recovery() != nil {
		t.Errorf("round %d: %+v", round, q.Recovery())
	}
	if err := l.judge(q); err != nil {
		t.Errorf("round %d: %v", round, err)
	}
}

func TestAnotherProcessHoldsTheQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	cmd := child(t, "hold", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("child: %q, %v", line, err)
	}
	start := time.Now()
	_, err = queue.Open(queue.Config{Path: path})
	var locked *queue.LockedError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid {
		t.Errorf("Open: %v, want a LockedError that names process %d", err, cmd.Process.Pid)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the answer took %v", took)
	}
	// Open waits for one that is just stopping.
	opened := make(chan error, 1)
	go func() {
		q, err := queue.Open(queue.Config{Path: path})
		if err == nil {
			err = q.Close()
		}
		opened <- err
	}()
	in.Close()
	select {
	case err := <-opened:
		if err != nil {
			t.Errorf("Open while the other stops: %v", err)
		}
	case <-time.After(time.Minute): // it takes the lock within two seconds or fails
		t.Fatal("Open neither gets the queue nor fails")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
}
