package source_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/agent/source"
)

// execChild names the file for the number of the program that a child of the test runs.
const execChild = "FIELDPOST_EXEC_CHILD"

// TestExecChild is what TestExecEndsWithAKilledAgent starts and kills.
func TestExecChild(t *testing.T) {
	file := os.Getenv(execChild)
	if file == "" {
		t.Skip("it is started by TestExecEndsWithAKilledAgent")
	}
	newExec(t, &sink{}, "echo $$ >"+file+"; exec sleep 1000", func(cfg *source.ExecConfig) { cfg.Interval = 0 }).Run(context.Background())
}

func TestExecEndsWithAKilledAgent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	child := exec.Command(os.Args[0], "-test.run=^TestExecChild$")
	child.Env = append(os.Environ(), execChild+"="+file)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := pidIn(t, file)
	if !alive(pid) {
		t.Fatal("the program doesn't run")
	}
	child.Process.Kill()
	child.Wait()
	eventually(t, "the end of the program", func() bool { return !alive(pid) })
}
