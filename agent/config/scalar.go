package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. As text it is a whole number with a unit: "512",
// "64KiB", "1MB".
type Size int64

// Sizes in powers of two.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

// sizeUnits are tried in order, so a unit stands before its own ending ("MiB"
// before "B").
var sizeUnits = [...]struct {
	name  string
	bytes Size
}{
	{"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"B", 1}, {"", 1},
}

// UnmarshalText parses a size.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	for _, unit := range sizeUnits {
		digits, ok := strings.CutSuffix(t, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && n > math.MaxInt64/int64(unit.bytes):
			return fmt.Errorf("%q is larger than any disk", t)
		case err != nil:
			return fmt.Errorf("%q is not a size: write a whole number and KiB, MiB, GiB, kB, MB, GB or nothing for bytes, such as 64MiB", t)
		case n < 0:
			return fmt.Errorf("%q is negative: a size is not", t)
		}
		*s = Size(n) * unit.bytes
		return nil
	}
	panic("unreachable: the last unit is empty")
}

// String returns the size in the largest unit that leaves it whole.
func (s Size) String() string {
	for _, unit := range [...]struct {
		name  string
		bytes Size
	}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}} {
		if s != 0 && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText returns what String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Duration is a [time.Duration] that is written as "270s", "20ms" or "720h".
type Duration time.Duration

// UnmarshalText parses a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	v, err := time.ParseDuration(t)
	if err == nil {
		*d = Duration(v)
		return nil
	}
	if days, ok := strings.CutSuffix(t, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 32); err == nil {
			return fmt.Errorf("%q: days are written in hours here: %dh", t, n*24)
		}
	}
	if _, err := strconv.ParseFloat(t, 64); err == nil {
		return fmt.Errorf("%q has no unit: write %ss for seconds, or use ms, m or h", t, t)
	}
	return fmt.Errorf("%q is not a duration: write a number and ms, s, m or h, such as 90s or 1h30m", t)
}

// String returns the duration without units that are zero: 720h, not 720h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText returns what String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Auto is a [Duration] that the agent finds by itself when it is 0, written "auto".
type Auto time.Duration

const auto = "auto"

// UnmarshalText parses "auto" or a duration.
func (a *Auto) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == auto {
		*a = 0
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, or auto", err)
	}
	*a = Auto(d)
	return nil
}

// String returns "auto" or the duration.
func (a Auto) String() string {
	if a == 0 {
		return auto
	}
	return Duration(a).String()
}

// MarshalText returns what String does.
func (a Auto) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// List is one value or several. As a variable it is written with commas
// between them.
type List []string

// UnmarshalText splits a list that stands in one line.
func (a *List) UnmarshalText(text []byte) error {
	*a = nil
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part != "" {
			*a = append(*a, part)
		}
	}
	return nil
}

// MarshalYAML writes a single value without a list around it.
func (a List) MarshalYAML() (any, error) {
	switch len(a) {
	case 0:
		return "", nil
	case 1:
		return a[0], nil
	}
	return []string(a), nil
}

// mask stands for a secret wherever one would be printed. Its length says
// nothing about the secret's.
const mask = "********"

// Secret is a password, PIN or token. Whatever formats it sees the mask; only
// Reveal returns the text.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask, or "" if there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString is String, so that %#v doesn't tell either.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the secret as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}
