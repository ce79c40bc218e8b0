package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// usualSpeeds are what a module may have been fixed at by whoever had it before, the likeliest first.
var usualSpeeds = []int{115200, 9600, 57600, 38400, 19200, 4800, 2400}

const (
	// speedTries is how often AT is said at each: a module that is fixed at one hears the first.
	speedTries = 2
	// speedPause lets pass what the two ends made of one another at different speeds.
	speedPause = 100 * time.Millisecond
)

// otherSpeeds looks for a module that is fixed at another speed than ours, and fixes it at ours (G9.1). It needs a port with a method
// SetBaud(int) error, as OpenPort's has. On the wire, at each of the usual speeds:
//
//	AT → OK, AT+IPR=115200&W → OK, and AT → OK at our speed
func (m *Modem) otherSpeeds(ctx context.Context) error {
	port, ok := m.port.(interface{ SetBaud(baud int) error })
	if !ok || m.cfg.Baud == 0 {
		return at.ErrHung
	}
	for _, speed := range usualSpeeds {
		if speed == m.cfg.Baud || ctx.Err() != nil {
			continue
		}
		m.setState(StepPower, fmt.Sprintf("no answer at %d baud; asking at %d", m.cfg.Baud, speed), nil)
		if port.SetBaud(speed) != nil {
			continue // the port can't do it
		}
		err := m.d.Sync(speedTries, m.cfg.SyncEvery)
		if err == nil {
			err = m.moveTo(speed, port.SetBaud)
		}
		if !errors.Is(err, at.ErrHung) {
			return err
		}
	}
	if err := port.SetBaud(m.cfg.Baud); err != nil {
		return &at.PortError{Err: err}
	}
	m.wait(speedPause)
	return at.ErrHung
}

// moveTo takes a module that answers at another speed to ours. Its OK still comes at the old one.
func (m *Modem) moveTo(from int, setBaud func(int) error) error {
	m.setState(StepPower, fmt.Sprintf("it answers at %d baud; setting it to %d", from, m.cfg.Baud), nil)
	_, err := m.d.Do(at.Command{Line: fmt.Sprintf("AT+IPR=%d&W", m.cfg.Baud), Timeout: m.cfg.CommandTimeout})
	if err != nil && !errors.Is(err, at.ErrTimeout) { // the OK may have been too fast a change for us
		return err
	}
	if err := setBaud(m.cfg.Baud); err != nil {
		return &at.PortError{Err: err}
	}
	m.wait(speedPause)
	return m.d.Sync(m.cfg.SyncTries, m.cfg.SyncEvery)
}
