//go:build !linux

package gsmnet

import (
	"errors"
	"fmt"
)

// GPIO is one line of a GPIO chip; here there are none.
type GPIO struct{}

// OpenGPIOOutput fails with errors.ErrUnsupported.
func OpenGPIOOutput(chip string, offset int, _ bool) (*GPIO, error) { return nil, noGPIO(chip, offset) }

// OpenGPIOInput fails with errors.ErrUnsupported.
func OpenGPIOInput(chip string, offset int, _ bool) (*GPIO, error) { return nil, noGPIO(chip, offset) }

func noGPIO(chip string, offset int) error {
	return fmt.Errorf("gsmnet: GPIO line %d of %s: only on Linux: %w", offset, chip, errors.ErrUnsupported)
}

// Set never gets called: there is nothing to call it on.
func (*GPIO) Set(bool) error { return errors.ErrUnsupported }

// Value never gets called: there is nothing to call it on.
func (*GPIO) Value() (bool, error) { return false, errors.ErrUnsupported }

// Close does nothing.
func (*GPIO) Close() error { return nil }
