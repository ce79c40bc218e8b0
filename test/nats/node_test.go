package nats_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// nodeConfig in the environment makes this program a node of the cluster.
const nodeConfig = "FIELDPOST_TEST_NATS_NODE"

func TestMain(m *testing.M) {
	if path := os.Getenv(nodeConfig); path != "" {
		if err := runNode(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	removeBinary()
	os.Exit(code)
}

// runNode is a node until it is killed, or until the test that started it is gone and with it the other end of its input.
func runNode(path string) error {
	opts, err := server.ProcessConfigFile(path)
	if err != nil {
		return err
	}
	opts.NoSigs = true
	node, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	node.ConfigureLogger()
	node.Start()
	_, err = io.Copy(io.Discard, os.Stdin)
	node.Shutdown()
	return err
}
