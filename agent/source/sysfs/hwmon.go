package sysfs

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// hwmonInput matches the files with measured values, and takes them apart.
var hwmonInput = regexp.MustCompile(`^((in|temp|curr|power|energy|humidity|fan)\d+)_input$`)

// hwmonScale turns the kernel's units into plain ones.
var hwmonScale = map[string]float64{
	"in": 1e-3, "temp": 1e-3, "curr": 1e-3, "humidity": 1e-3, // m
	"power": 1e-6, "energy": 1e-6, // µ
	"fan": 1,
}

func findHwmon(dir string) ([]candidate, error) {
	chips, err := chipsOf(dir, "hwmon")
	if err != nil {
		return nil, err
	}
	var found []candidate
	for _, chip := range chips {
		files, err := entries(chip.dir, "")
		if err != nil {
			return nil, err
		}
		seen := make(map[string]bool)
		for _, file := range files {
			m := hwmonInput.FindStringSubmatch(file)
			if m == nil {
				continue
			}
			base := filepath.Join(chip.dir, m[1])
			name := m[1]
			if label, err := readText(base + "_label"); err == nil && label != "" {
				name = strings.ReplaceAll(label, "/", "_")
			}
			if seen[name] { // some boards label two alike
				name += " " + m[1]
			}
			seen[name] = true
			found = append(found, candidate{chip: chip.name, name: name, read: func() (reading.Value, error) {
				if fault, err := readText(base + "_fault"); err == nil && fault == "1" {
					return reading.Value{}, errors.New("the chip reports a fault of the sensor")
				}
				return scaledFile(base+"_input", hwmonScale[m[2]], 0)
			}})
		}
	}
	return found, nil
}

// A chip is a device with sensors.
type chip struct{ name, dir string }

// chipsOf returns the devices in a folder by the names that their drivers give
// them; where two have the same, the bus address follows, since their numbers
// change from boot to boot.
func chipsOf(dir, prefix string) ([]chip, error) {
	names, err := entries(dir, prefix)
	if err != nil {
		return nil, err
	}
	var chips []chip
	count := make(map[string]int)
	for _, entry := range names {
		c := chip{entry, filepath.Join(dir, entry)}
		if name, err := readText(filepath.Join(c.dir, "name")); err == nil && name != "" {
			c.name = strings.ReplaceAll(name, "/", "_")
		}
		chips = append(chips, c)
		count[c.name]++
	}
	for i, c := range chips {
		if count[c.name] > 1 {
			chips[i].name += "-" + address(c.dir)
		}
	}
	return chips, nil
}

// address tells two devices of the same kind apart.
func address(dir string) string {
	if target, err := os.Readlink(filepath.Join(dir, "device")); err == nil {
		return filepath.Base(target)
	}
	return filepath.Base(dir)
}
