package sysfs

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// thermometer matches the ids of the families that the kernel's driver knows.
var thermometer = regexp.MustCompile(`^(10|22|28|3b|42)-[0-9a-f]{12}$`)

func findW1(dir string) ([]candidate, error) {
	names, err := entries(dir, "")
	if err != nil {
		return nil, err
	}
	var found []candidate
	for _, id := range names {
		if thermometer.MatchString(id) {
			found = append(found, candidate{chip: id, name: "temperature", read: func() (reading.Value, error) {
				text, err := readText(filepath.Join(dir, id, "w1_slave"))
				if err != nil {
					return reading.Value{}, err
				}
				return parseW1(text)
			}})
		}
	}
	return found, nil
}

// powerOn is what a thermometer's memory holds before it has measured, in m°C.
const powerOn = 85000

// parseW1 reads what the driver shows:
//
//	50 01 4b 46 7f ff 0c 10 1c : crc=1c YES
//	50 01 4b 46 7f ff 0c 10 1c t=21000
func parseW1(text string) (reading.Value, error) {
	check, value, ok := strings.Cut(text, "\n")
	if !ok || !strings.Contains(check, "crc=") {
		return reading.Value{}, fmt.Errorf("%.60q is not what a thermometer shows", text)
	}
	if !strings.HasSuffix(strings.TrimSpace(check), "YES") {
		return reading.Value{}, errors.New("the checksum is wrong: is the wire too long, or the pull-up too weak?")
	}
	_, digits, ok := strings.Cut(value, "t=")
	if !ok {
		return reading.Value{}, fmt.Errorf("%.60q holds no temperature", value)
	}
	n, err := parseNumber(strings.TrimSpace(digits))
	if err != nil {
		return reading.Value{}, err
	}
	if n == powerOn {
		return reading.Value{}, errors.New("85 °C is what it shows before it has measured: is its supply too weak?")
	}
	return reading.Scaled(n, 0.001, 0)
}
