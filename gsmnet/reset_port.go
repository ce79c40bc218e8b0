package gsmnet

import (
	"errors"
	"fmt"
	"io"
)

// SetDTR raises the line DTR of a port that OpenPort has opened, or drops it. Opening has raised it.
func SetDTR(port io.ReadWriteCloser, on bool) error { return setLine(port, "DTR", on) }

// SetRTS is SetDTR for the line RTS.
func SetRTS(port io.ReadWriteCloser, on bool) error { return setLine(port, "RTS", on) }

func setLine(port io.ReadWriteCloser, name string, on bool) error {
	s, ok := port.(*serialPort)
	if !ok {
		return fmt.Errorf("gsmnet: set %s: %w: not a port of OpenPort", name, errors.ErrUnsupported)
	}
	if err := s.enter(); err != nil {
		return fmt.Errorf("gsmnet: set %s: %w", name, err)
	}
	defer s.leave()
	set := s.port.SetDTR
	if name == "RTS" {
		set = s.port.SetRTS
	}
	if err := set(on); err != nil {
		return fmt.Errorf("gsmnet: %s has no line %s that can be set: %w", s.path, name, err)
	}
	return nil
}
