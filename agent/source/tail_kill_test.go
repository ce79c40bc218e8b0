package source_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// tailChild names the folder in which a child of the test follows a log.
const tailChild = "FIELDPOST_TAIL_CHILD"

// TestTailChild is what TestTailKilled starts and kills.
func TestTailChild(t *testing.T) {
	dir := os.Getenv(tailChild)
	if dir == "" {
		t.Skip("it is started by TestTailKilled")
	}
	q, err := queue.Open(queue.Config{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open")
	newTail(t, store{q}, filepath.Join(dir, "log"), true, 0).Run(context.Background())
}

// The agent is killed again and again while a log grows and is rotated: every line is there once and in order.
func TestTailKilled(t *testing.T) {
	dir := t.TempDir()
	l := &logFile{t: t, path: filepath.Join(dir, "log")}
	written := 0
	grow := func(n int) {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "line-%d\n", written)
			written++
		}
		l.append(b.String())
	}
	rounds := 6
	if os.Getenv("FIELDPOST_SOAK") != "" {
		rounds = 200
	}
	for round := range rounds {
		child := exec.Command(os.Args[0], "-test.run=^TestTailChild$")
		child.Env = append(os.Environ(), tailChild+"="+dir)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
			t.Fatalf("the child says %q, %v", line, err)
		}
		for end := time.Now().Add(time.Duration(200+rand.IntN(300)) * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			grow(1 + rand.IntN(20))
		}
		if round%2 == 1 { // while the child runs: it finds the old one by its open file or, killed, by its inode
			l.rename(fmt.Sprintf(".%d", rounds-round))
			grow(10)
		}
		child.Process.Kill()
		child.Wait()
		grow(10)
	}
	q := openQueue(t, filepath.Join(dir, "queue.db"))
	if len(stored(t, q)) == 0 {
		t.Fatal("the child has stored nothing before it was killed")
	}
	defer launch(t, newTail(t, store{q}, l.path, true, 0))()
	want := fmt.Sprintf("line-%d", written-1)
	eventually(t, "the last line", func() bool { return strings.HasSuffix(stored(t, q), want) })
	for i, line := range strings.Fields(stored(t, q)) {
		if line != fmt.Sprintf("line-%d", i) {
			t.Fatalf("message %d is %s", i, line)
		}
	}
}
