package main

import (
	"context"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// stopTime is what a stop may take until the module is left as it is: the proofs and the goodbye to the broker have taken 6.5 s of it
// at most, QICLOSE gets the rest, and the port a second more. The docs promise 10 s.
const stopTime = 8500 * time.Millisecond

// run is the agent's Run; it notes when the stop was asked for.
func (d *device) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		by := time.Now().Add(stopTime)
		d.stopBy.Store(&by)
	})()
	return d.agent.Run(ctx)
}

// closeLink closes the way to the broker within what is left of the stop.
func (d *device) closeLink(link agent.Link) error {
	by := time.Now().Add(stopTime)
	if asked := d.stopBy.Load(); asked != nil {
		by = *asked
	}
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	return link.Close(ctx)
}
