package gsmnet_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// A connection through a module: here a simulated one; OpenPort gives the port of a real one.
func Example() {
	server, client := net.Pipe()
	cfg := fast()
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return client, nil }
	module := gsmsim.New(cfg)
	defer module.Close()

	modem, err := gsmnet.Open(module.Wire(), gsmnet.Config{APN: "internet.example"})
	if err != nil {
		log.Fatal(err)
	}
	defer modem.Close()
	conn, err := modem.DialContext(context.Background(), "tcp", "broker.example:1883")
	if err != nil {
		log.Fatal(gsmnet.CauseOf(err), err)
	}
	defer conn.Close()

	if _, err := conn.Write([]byte("hello")); err != nil {
		log.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(server, got); err != nil {
		log.Fatal(err)
	}
	c := conn.(*gsmnet.Conn)
	if err := c.WaitAcked(context.Background(), c.Written()); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d bytes acknowledged, state %v\n", got, c.Acked(), modem.State().Step)
	server.Close()
	// Output: hello: 5 bytes acknowledged, state ready
}
