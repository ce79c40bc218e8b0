package control_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fieldpost/fieldpost/agent/web/control"
)

// A command asks the running agent and notices when there is none.
func Example() {
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	client := control.NewClient(filepath.Join(dir, "control.sock"))
	if _, err := client.Status(context.Background()); errors.Is(err, control.ErrNotRunning) {
		fmt.Println("start the agent first")
	}
	// Output: start the agent first
}
