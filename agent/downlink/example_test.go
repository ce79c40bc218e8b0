package downlink_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/downlink"
)

// A command comes twice, as it may at QoS 1, and is answered once.
func Example() {
	var disk store
	d, err := downlink.New(downlink.Config{
		Topic: "pump-07/cmd", Answer: "pump-07/answer", Store: &disk, Log: zerolog.Nop(),
		Settings: downlink.Settings{Allow: []string{"status"}},
		Actions: map[string]downlink.Action{"status": {Run: func(context.Context, json.RawMessage) (any, error) {
			return map[string]int{"waiting": 3}, nil
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()

	m := downlink.Message{Topic: "pump-07/cmd/status", Payload: []byte(`{"id":"a1"}`)}
	fmt.Println(d.Handle(ctx, m))
	fmt.Println(d.Handle(ctx, m)) // waits for the first one's answer
	fmt.Println(string(disk.answers[0].Payload), len(disk.answers))

	stop()
	fmt.Println(<-ended)
	// Output:
	// <nil>
	// <nil>
	// {"id":"a1","cmd":"status","ok":true,"result":{"waiting":3}} 1
	// <nil>
}
