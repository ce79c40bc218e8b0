package sysnet_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/fieldpost/fieldpost/agent/sysnet"
)

func ExampleConn_WaitAcked() {
	broker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()

	ctx := context.Background()
	var dialer sysnet.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", broker.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	fmt.Fprint(conn, "21.5 °C")
	if err := conn.WaitAcked(ctx, conn.Written()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conn.Acked(), "bytes have arrived")
	// Output: 8 bytes have arrived
}
