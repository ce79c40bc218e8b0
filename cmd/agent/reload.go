package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/fieldpost/fieldpost/internal/device"
)

// reloader has the configuration read again at a SIGHUP.
type reloader struct {
	path   string
	device *device.Device
}

// run serves signals until ctx ends.
func (r *reloader) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			sayReloading()
			r.device.Reload(r.path)
			_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
		case <-ctx.Done():
			return
		}
	}
}

// hangups subscribes to the signal. It is done before the agent is made: unheard, the signal would end the process.
func hangups() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// sayReloading tells the service manager, which wants to know since when (sd_notify(3)).
func sayReloading() {
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
}
