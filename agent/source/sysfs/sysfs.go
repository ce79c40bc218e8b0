package sysfs

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// Kinds lists what can be read.
func Kinds() []string { return []string{"w1", "hwmon", "iio", "file"} }

// A Reader says which sensors to read.
type Reader struct {
	Kind  string   // one of Kinds
	Path  string   // folder of the devices, "" for the kernel's; of "file" the pattern of the files
	Match []string // patterns of CHIP/SENSOR; none: all
	Scale float64  // of "file": what the number is multiplied by; 0 means 1
}

// A Sensor is one value.
type Sensor struct {
	Chip, Name string // a w1 sensor has its id as the chip; a "file" without a pattern has no names
	Value      reading.Value
}

// A candidate is a sensor that was found and not read yet.
type candidate struct {
	chip, name string
	read       func() (reading.Value, error)
}

// Read reads all sensors that there are now, in a steady order. The error is
// about those that could not be read; the others are returned beside it.
func (r Reader) Read() ([]Sensor, error) {
	found, err := r.find()
	if err != nil {
		return nil, fmt.Errorf("sysfs: %w", err)
	}
	var sensors []Sensor
	var failed error
	wanted := 0
	for _, c := range found {
		if !r.wants(c) {
			continue
		}
		wanted++
		v, err := c.read()
		if err != nil {
			failed = fmt.Errorf("sysfs: %s: %w", strings.Trim(c.chip+"/"+c.name, "/"), err)
			continue
		}
		sensors = append(sensors, Sensor{c.chip, c.name, v})
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("sysfs: there is no %s sensor in %s", r.Kind, r.path())
	case wanted == 0:
		return nil, fmt.Errorf("sysfs: none of the %d sensors in %s matches %s", len(found), r.path(), strings.Join(r.Match, ", "))
	}
	return sensors, failed
}

func (r Reader) path() string {
	if r.Path != "" {
		return r.Path
	}
	return map[string]string{"w1": "/sys/bus/w1/devices", "hwmon": "/sys/class/hwmon", "iio": "/sys/bus/iio/devices"}[r.Kind]
}

func (r Reader) find() ([]candidate, error) {
	switch r.Kind {
	case "w1":
		return findW1(r.path())
	case "hwmon":
		return findHwmon(r.path())
	case "iio":
		return findIIO(r.path())
	case "file":
		return r.findFiles()
	}
	return nil, fmt.Errorf("kind %q is not one of %s", r.Kind, strings.Join(Kinds(), ", "))
}

func (r Reader) wants(c candidate) bool {
	for _, pattern := range r.Match {
		if ok, _ := path.Match(pattern, c.chip+"/"+c.name); ok {
			return true
		}
	}
	return len(r.Match) == 0
}

func (r Reader) findFiles() ([]candidate, error) {
	files, err := filepath.Glob(r.Path)
	if err != nil {
		return nil, err
	}
	var found []candidate
	for _, file := range files {
		c := candidate{read: func() (reading.Value, error) { return scaledFile(file, r.Scale, 0) }}
		if file != r.Path { // a pattern: the names tell the files apart
			c.chip, c.name = filepath.Base(filepath.Dir(file)), filepath.Base(file)
		}
		found = append(found, c)
	}
	if len(files) == 0 && !strings.ContainsAny(r.Path, "*?[") {
		return nil, fmt.Errorf("%s does not exist", r.Path)
	}
	return found, nil
}

// entries returns the folder's names that begin with the prefix, in order.
func entries(dir, prefix string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("is the kernel's driver loaded? %w", err)
	}
	var names []string
	for _, e := range list {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// maxFile is a page, which is as long as a file of the kernel can be here.
const maxFile = 4096

// readText returns a small file's content.
func readText(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(content)), nil
}

// scaledFile returns (number + offset) * scale of the number in a file; a scale
// of 0 means 1.
func scaledFile(file string, scale, offset float64) (reading.Value, error) {
	text, err := readText(file)
	if err != nil {
		return reading.Value{}, err
	}
	n, err := parseNumber(text)
	if err != nil {
		return reading.Value{}, err
	}
	return reading.Scaled(n+offset, scale, 0)
}

func parseNumber(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a number", text)
	}
	return n, nil
}
