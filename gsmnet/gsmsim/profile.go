package gsmsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// profiles are the ready-made ones, in the order in which they are shown.
var profiles = []struct {
	name   string
	config func() Config
}{
	{"m95", m95},
	{"m95-autobaud", func() Config { c := m95(); c.Baud = 0; return c }},
	{"m66", m66},
	{"mc60", mc60},
	{"slow", slow},
	{"hostile", hostile},
}

// m95 is the guide's module at the speed that the guide stores.
func m95() Config {
	return Config{Baud: 115200, Model: Model{Name: "M95", ReadMax: 1024}}
}

func m66() Config {
	return Config{Baud: 115200, Model: Model{
		Name: "M66", Revision: "M66FAR01A12BT", SMSReady: true, BarePort: true, AlreadyConnect: "after",
	}}
}

func mc60() Config {
	return Config{Baud: 115200, Model: Model{
		Name: "MC60", Revision: "MC60CAR01A11", SMSReady: true, BarePort: true,
		ReadByPacket: true, CountedQIRDI: true,
	}}
}

// slow is an M95 at the edge of a cell, in a network that takes its time.
func slow() Config {
	c := m95()
	c.Radio = Radio{Up: 500, Down: 1000, RTT: 2 * time.Second, Jitter: time.Second, Loss: 0.02, Signal: 4}
	c.Network = Network{Register: 25 * time.Second, Attach: 20 * time.Second}
	c.Timing = Timing{
		Answer: 100 * time.Millisecond, Prompt: 800 * time.Millisecond, Activate: 15 * time.Second,
		Deactivate: 20 * time.Second, Close: 5 * time.Second,
	}
	return c
}

// hostile has every habit at once that some firmware has: what works with it works anywhere.
func hostile() Config {
	return Config{
		Model: Model{
			Name: "M95", ReadMax: 1024, ReadByPacket: true, AutobaudMisses: 3, SMSReady: true,
			WarningSpace: true, EscapeReply: "none", AlreadyConnect: "before", RefuseRepeated: true,
			StrictDNSIP: true, DropOnClosed: false, ClosedOnDeact: true, RepeatQIRDI: true,
			Spacing: "tight", LeadingBlank: 1, OKBeforeFinal: true, CPINAsCME: true,
		},
		NATIdle: 4 * time.Minute,
		Radio:   Radio{Up: 1500, Down: 3000, RTT: time.Second, Jitter: 800 * time.Millisecond, Loss: 0.01},
		Timing:  Timing{Answer: 60 * time.Millisecond, Settle: 2 * time.Second},
		Faults:  Faults{URCInReply: true},
	}
}

// Profiles returns the names that Profile knows.
func Profiles() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.name
	}
	return names
}

// Profile returns the profile of the given name, or reads one from the JSON file of that path.
func Profile(nameOrFile string) (Config, error) {
	for _, p := range profiles {
		if p.name == nameOrFile {
			return p.config(), nil
		}
	}
	text, err := os.ReadFile(nameOrFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Config{}, fmt.Errorf("gsmsim: profile %q is neither a file nor one of %s",
			nameOrFile, strings.Join(Profiles(), ", "))
	case err != nil:
		return Config{}, fmt.Errorf("gsmsim: profile: %w", err)
	}
	c, err := parseProfile(text)
	if err != nil {
		return Config{}, fmt.Errorf("gsmsim: profile %s: %w", nameOrFile, err)
	}
	return c, nil
}

func parseProfile(text []byte) (Config, error) {
	var keys map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&keys); err != nil {
		return Config{}, fmt.Errorf("a JSON object is expected: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("there is more behind the JSON object")
	}
	var c Config
	if base, given := keys["base"]; given {
		delete(keys, "base")
		name, _ := base.(string)
		i := slices.Index(Profiles(), name)
		if i < 0 {
			return Config{}, fmt.Errorf("base: %v is none of %s", base, strings.Join(Profiles(), ", "))
		}
		c = profiles[i].config()
	}
	if err := setKeys(reflect.ValueOf(&c).Elem(), keys, ""); err != nil {
		return Config{}, err
	}
	return c, c.validate()
}

// setKeys fills a struct's fields by their json tags. Durations are strings.
func setKeys(v reflect.Value, keys map[string]any, path string) error {
	fields := make(map[string]reflect.Value)
	var names []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("json"); name != "-" {
			fields[name] = v.Field(i)
			names = append(names, name)
		}
	}
	for name, value := range keys {
		field, known := fields[name]
		if !known {
			return fmt.Errorf("%s%s: no such key; there are %s", path, name, strings.Join(names, ", "))
		}
		if err := setField(field, value, path+name); err != nil {
			return err
		}
	}
	return nil
}

func setField(field reflect.Value, value any, path string) error {
	if field.Type() == reflect.TypeFor[time.Duration]() {
		s, _ := value.(string)
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf(`%s: %v is no duration such as "600ms" or "10m"`, path, value)
		}
		field.SetInt(int64(d))
		return nil
	}
	if field.Kind() == reflect.Struct {
		keys, isObject := value.(map[string]any)
		if !isObject {
			return fmt.Errorf("%s: an object is expected", path)
		}
		return setKeys(field, keys, path+".")
	}
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, field.Addr().Interface())
	}
	if err != nil {
		return fmt.Errorf("%s: %s is no %s", path, text, field.Kind())
	}
	return nil
}

// validate finds values that no module or network has.
func (c *Config) validate() error {
	oneOf := func(key, value string, allowed ...string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("%s: %q is none of %q", key, value, allowed)
	}
	share := func(key string, value float64) error {
		if value >= 0 && value < 1 {
			return nil
		}
		return fmt.Errorf("%s: %v is no share from 0 to below 1", key, value)
	}
	atLeast0 := func(key string, value int) error {
		if value >= 0 {
			return nil
		}
		return fmt.Errorf("%s: %d is below 0", key, value)
	}
	var baud error
	if c.Baud != 0 && !slices.Contains(fixedSpeeds, c.Baud) {
		baud = fmt.Errorf("baud: %d is none of 0 (automatic) and %v", c.Baud, fixedSpeeds)
	}
	return errors.Join(baud,
		oneOf("model.spacing", c.Model.Spacing, "", "tight", "loose"),
		oneOf("model.already_connect", c.Model.AlreadyConnect, "", "after", "before"),
		oneOf("model.read_end", c.Model.ReadEnd, "", "glued", "crlf", "none"),
		share("radio.loss", c.Radio.Loss),
		share("faults.lose_byte", c.Faults.LoseByte),
		share("faults.double_byte", c.Faults.DoubleByte),
		share("faults.flip_byte", c.Faults.FlipByte),
		atLeast0("radio.up", c.Radio.Up),
		atLeast0("radio.down", c.Radio.Down),
	)
}
