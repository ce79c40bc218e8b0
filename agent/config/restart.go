package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Restart says how the module can be restarted when it doesn't take AT+CFUN=1,1: through wires to its pins, or by a program.
type Restart struct {
	PowerKey string `yaml:"power_key"` // Wire that pulls PWRKEY low
	EmergOff string `yaml:"emerg_off"` // Wire that pulls EMERG_OFF low
	Status   string `yaml:"status"`    // Wire that shows STATUS
	Command  List   `yaml:"command"`   // program and arguments
	Spacing  List   `yaml:"spacing"`   // how long the second, third, … restart in a row waits; Durations, the last one for all that follow; none: the vendor's
}

// A Wire leads to a pin of the module, or from one.
type Wire struct {
	Chip     string // "gpiochip0"; "" with Line
	Offset   int    // of the line on the chip
	Inverted bool   // the line is low while the module's pin is pulled, or while STATUS is high
	Line     string // LineDTR or LineRTS: the module's pin is pulled while the line is dropped
}

// Lines of the serial port that can be a Wire.
const (
	LineDTR = "dtr"
	LineRTS = "rts"
)

// ParseWire reads gpiochip0/17, !gpiochip0/17, dtr or rts.
func ParseWire(text string) (Wire, error) {
	if text == LineDTR || text == LineRTS {
		return Wire{Line: text}, nil
	}
	name, inverted := strings.CutPrefix(text, "!")
	chip, number, found := strings.Cut(name, "/")
	offset, err := strconv.ParseUint(number, 10, 16)
	if !found || err != nil || chip == "" || strings.ContainsFunc(chip, func(r rune) bool { return !isAlnum(r) && r != '-' && r != '_' }) {
		return Wire{}, fmt.Errorf("%q is no wire: write CHIP/LINE such as gpiochip0/17, with a \"!\" before it if the line is low when it acts; or dtr, or rts", text)
	}
	return Wire{Chip: chip, Offset: int(offset), Inverted: inverted}, nil
}

// Waits returns Spacing as durations.
func (r Restart) Waits() []time.Duration {
	var waits []time.Duration
	for _, text := range r.Spacing {
		var d Duration
		if d.UnmarshalText([]byte(text)) == nil { // else Validate has refused it
			waits = append(waits, time.Duration(d))
		}
	}
	return waits
}

// leastSpacing: restarts that follow one another are a fault of their own.
const leastSpacing = Duration(time.Minute)

func (c *Config) checkSpacing(k *checker) {
	for _, text := range c.Modem.Restart.Spacing {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			k.fail("modem.restart.spacing", "", "%v", err)
		} else if d < leastSpacing {
			k.fail("modem.restart.spacing", "", "%v is less than %v: restarts that follow one another are a fault of their own", d, leastSpacing)
		}
	}
}

func (c *Config) checkRestart(k *checker) {
	c.checkSpacing(k)
	r := c.Modem.Restart
	wires := 0
	for _, w := range []struct{ key, text string }{
		{"modem.restart.power_key", r.PowerKey}, {"modem.restart.emerg_off", r.EmergOff}, {"modem.restart.status", r.Status},
	} {
		if w.text == "" {
			continue
		}
		wires++
		wire, err := ParseWire(w.text)
		if err != nil {
			k.fail(w.key, "", "%v", err)
		} else if wire.Line != "" && w.text == r.Status {
			k.fail(w.key, "", "%s is an output of the serial port and can't show STATUS: name a GPIO line", w.text)
		}
	}
	switch {
	case wires > 0 && len(r.Command) > 0:
		k.fail("modem.restart.command", "remove one of the two", "wires are named too")
	case r.PowerKey != "" && r.EmergOff == "" && r.Status == "":
		k.fail("modem.restart.power_key", "", "needs modem.restart.emerg_off or modem.restart.status: PWRKEY is a toggle, and would switch a module off that runs")
	case r.Status != "" && r.PowerKey == "" && r.EmergOff == "":
		k.fail("modem.restart.status", "", "restarts nothing by itself: name modem.restart.power_key too")
	case len(r.Command) > 0 && !strings.HasPrefix(r.Command[0], "/"):
		k.fail("modem.restart.command", "", "%q is no absolute path: no shell and no PATH is involved", r.Command[0])
	}
}
