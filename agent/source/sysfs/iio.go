package sysfs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// iioChannel matches the files with measured values: in_TYPE[N][_MODIFIER].
var iioChannel = regexp.MustCompile(`^in_(([a-z]+)\d*[a-z0-9_-]*)_(raw|input)$`)

// iioScale turns the kernel's units into plain ones, where they are not.
var iioScale = map[string]float64{"temp": 1e-3, "voltage": 1e-3, "current": 1e-3, "humidityrelative": 1e-3}

func findIIO(dir string) ([]candidate, error) {
	chips, err := chipsOf(dir, "iio:device")
	if err != nil {
		return nil, err
	}
	var found []candidate
	for _, chip := range chips {
		files, err := entries(chip.dir, "in_")
		if err != nil {
			return nil, err
		}
		seen := make(map[string]bool) // "input" comes before "raw" and is the better one
		for _, file := range files {
			m := iioChannel.FindStringSubmatch(file)
			if m == nil || seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			c := iioInput{dir: chip.dir, channel: "in_" + m[1], file: file, unit: iioScale[m[2]], raw: m[3] == "raw"}
			found = append(found, candidate{chip: chip.name, name: m[1], read: c.read})
		}
	}
	return found, nil
}

// An iioInput is a file with a value in it.
type iioInput struct {
	dir, channel, file string
	unit               float64 // 0: as it is
	raw                bool    // the value is (raw + offset) * scale
}

func (c iioInput) read() (reading.Value, error) {
	unit := c.unit
	if unit == 0 {
		unit = 1
	}
	if !c.raw {
		return scaledFile(filepath.Join(c.dir, c.file), unit, 0)
	}
	scale, err := c.attribute("scale", 1)
	if err != nil {
		return reading.Value{}, err
	}
	offset, err := c.attribute("offset", 0)
	if err != nil {
		return reading.Value{}, err
	}
	return scaledFile(filepath.Join(c.dir, c.file), scale*unit, offset)
}

// shared matches the number or the axis that an attribute for all channels of a
// type leaves out.
var shared = regexp.MustCompile(`\d+|_[a-z]+$`)

// attribute returns a number that belongs to the channel, or else to all of its
// type.
func (c iioInput) attribute(name string, missing float64) (float64, error) {
	for _, channel := range []string{c.channel, shared.ReplaceAllString(c.channel[len("in_"):], "")} {
		if !strings.HasPrefix(channel, "in_") {
			channel = "in_" + channel
		}
		text, err := readText(filepath.Join(c.dir, channel+"_"+name))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return parseNumber(text)
	}
	return missing, nil
}
