package device

import (
	"context"
	"time"
)

// stopTime is what a stop may take until the module is left as it is: the proofs and the goodbye to the broker have taken 6.5 s of it
// at most, QICLOSE gets the rest, and the port a second more. The docs promise 10 s.
const stopTime = 8500 * time.Millisecond

// Run delivers and takes readings in until ctx ends; its stop takes 10 s at most, with Close.
func (d *Device) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		by := time.Now().Add(stopTime)
		d.stopBy.Store(&by)
	})()
	return d.agent.Run(ctx)
}

// closeUplink closes the way to the broker within what is left of the stop.
func (d *Device) closeUplink() error {
	by := time.Now().Add(stopTime)
	if asked := d.stopBy.Load(); asked != nil {
		by = *asked
	}
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	return d.uplink.Close(ctx)
}
