package gsmnet

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/warthog618/go-gpiocdev"
)

// GPIO is one line of a GPIO chip. What the system calls active is on: high, or with inverted low. Nobody else can have it until
// Close, after which the system keeps no promise about its level.
type GPIO struct {
	line *gpiocdev.Line
	name string
}

// OpenGPIOOutput takes a line as an output that is off from the first moment. chip is a name such as gpiochip0.
func OpenGPIOOutput(chip string, offset int, inverted bool) (*GPIO, error) {
	return openGPIO(chip, offset, inverted, gpiocdev.AsOutput(0))
}

// OpenGPIOInput takes a line as an input.
func OpenGPIOInput(chip string, offset int, inverted bool) (*GPIO, error) {
	return openGPIO(chip, offset, inverted, gpiocdev.AsInput)
}

func openGPIO(chip string, offset int, inverted bool, direction gpiocdev.LineReqOption) (*GPIO, error) {
	g := &GPIO{name: fmt.Sprintf("line %d of %s", offset, chip)}
	options := []gpiocdev.LineReqOption{gpiocdev.WithConsumer("fieldpost"), gpiocdev.LevelOption(inverted), direction}
	line, err := gpiocdev.RequestLine(chip, offset, options...)
	switch {
	case err == nil:
		g.line = line
		return g, nil
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("there is no such chip; ls /dev/gpiochip* shows those there are: %w", err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("no permission: add the user to the group of /dev/%s (often gpio): %w", chip, err)
	case errors.Is(err, syscall.EBUSY):
		err = fmt.Errorf("another program or driver uses it: %w", err)
	case errors.Is(err, gpiocdev.ErrInvalidOffset):
		err = fmt.Errorf("the chip has no line of that number: %w", err)
	}
	return nil, fmt.Errorf("gsmnet: GPIO %s: %w", g.name, err)
}

// Set switches an output.
func (g *GPIO) Set(on bool) error {
	value := 0
	if on {
		value = 1
	}
	if err := g.line.SetValue(value); err != nil {
		return fmt.Errorf("gsmnet: GPIO %s: %w", g.name, err)
	}
	return nil
}

// Value reads an input.
func (g *GPIO) Value() (bool, error) {
	value, err := g.line.Value()
	if err != nil {
		return false, fmt.Errorf("gsmnet: GPIO %s: %w", g.name, err)
	}
	return value != 0, nil
}

// Close gives the line back.
func (g *GPIO) Close() error { return g.line.Close() }
