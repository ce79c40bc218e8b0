package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// A line is a serial port that is used by one goroutine, which also closes it:
// the library keeps using the number of the open file after Close.
type serialLine struct {
	serial.Port
	path string
	lock *os.File // holds the flock for as long as the port is open
}

// openSerial opens a port and locks it against other programs.
func openSerial(path string, baud int, mode string, tick time.Duration) (*serialLine, error) {
	m, err := serialMode(baud, mode)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, explainPort(path, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("source: %s is in use by another process: stop it, or tell it to leave this port alone: %w", path, err)
	}
	port, err := serial.Open(path, m)
	if err == nil {
		if err = port.SetReadTimeout(tick); err != nil {
			port.Close()
		}
	}
	if err != nil {
		lock.Close()
		return nil, explainPort(path, err)
	}
	return &serialLine{port, path, lock}, nil
}

func explainPort(path string, err error) error {
	var code *serial.PortError
	isCode := func(c serial.PortErrorCode) bool { return errors.As(err, &code) && code.Code() == c }
	switch {
	case errors.Is(err, fs.ErrNotExist), isCode(serial.PortNotFound):
		return fmt.Errorf("source: %s does not exist: is it plugged in? ls -l /dev/serial/by-id shows what there is", path)
	case errors.Is(err, fs.ErrPermission), isCode(serial.PermissionDenied):
		return fmt.Errorf("source: no permission for %s: add the agent's user to the port's group (often dialout)", path)
	case errors.Is(err, unix.EBUSY), isCode(serial.PortBusy):
		return fmt.Errorf("source: %s is in use by another process: stop it, or tell it to leave this port alone", path)
	case errors.Is(err, unix.ENOTTY), isCode(serial.InvalidSerialPort):
		return fmt.Errorf("source: %s is not a serial port", path)
	}
	return fmt.Errorf("source: %s: %w", path, err)
}

// Close closes the port.
func (l *serialLine) Close() error {
	err := l.Port.Close()
	l.lock.Close()
	return err
}

// lost says that a port has failed. The library reports an unplugged device as
// a port that was closed, and we don't close it while we use it.
func (l *serialLine) lost(err error) error {
	var code *serial.PortError
	if err == nil || errors.As(err, &code) && code.Code() == serial.PortClosed {
		return fmt.Errorf("source: %s is gone (unplugged?)", l.path)
	}
	return fmt.Errorf("source: %s is gone (unplugged?): %w", l.path, err)
}

// serialMode takes "8N1" apart.
func serialMode(baud int, mode string) (*serial.Mode, error) {
	m := &serial.Mode{BaudRate: baud}
	if len(mode) == 3 && mode[0] >= '5' && mode[0] <= '8' {
		m.DataBits = int(mode[0] - '0')
		parity, known := map[byte]serial.Parity{'N': serial.NoParity, 'E': serial.EvenParity, 'O': serial.OddParity}[mode[1]]
		stop, stopKnown := map[byte]serial.StopBits{'1': serial.OneStopBit, '2': serial.TwoStopBits}[mode[2]]
		if m.Parity, m.StopBits = parity, stop; known && stopKnown {
			return m, nil
		}
	}
	return nil, fmt.Errorf("source: %q is not data bits, parity and stop bits, such as 8N1", mode)
}
