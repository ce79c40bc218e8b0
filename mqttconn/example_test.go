package mqttconn_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// countedPipe is a connection in memory. What the other end has read counts as acknowledged, and a Write of a pipe returns
// just then.
type countedPipe struct {
	net.Conn
	mu      sync.Mutex
	written uint64
}

func (c *countedPipe) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += uint64(n)
	return n, err
}

func (c *countedPipe) Written() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

func (c *countedPipe) WaitAcked(context.Context, uint64) error { return nil }

// A session delivers two readings and tells when each has provably arrived.
func Example() {
	broker := mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := broker.AddHook(new(allowAll), nil); err != nil {
		fmt.Println(err)
		return
	}
	dial := func(context.Context) (mqttconn.Conn, error) {
		near, far := net.Pipe()
		go broker.EstablishConnection("pipe", far) // ends with the connection
		return &countedPipe{Conn: near}, nil
	}

	ctx := context.Background()
	session, err := mqttconn.Connect(ctx, dial, mqttconn.Config{ClientID: "pump-07"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close(ctx)
	for seq, reading := range []string{"21.4", "21.5"} {
		receipt, err := session.Publish(ctx, mqttconn.Message{Seq: uint64(seq + 1), Topic: "pump-07/temperature", QoS: 1, Payload: []byte(reading)})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("message", receipt.Seq(), "proven:", receipt.Err() == nil)
	}
	// Output:
	// message 1 proven: true
	// message 2 proven: true
}
