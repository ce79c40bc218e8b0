package reading

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Precisions lists the units of time that the line protocol knows.
func Precisions() []string { return []string{"ns", "us", "ms", "s"} }

func precision(text string) (time.Duration, error) {
	switch text {
	case "", "ns":
		return time.Nanosecond, nil
	case "us":
		return time.Microsecond, nil
	case "ms":
		return time.Millisecond, nil
	case "s":
		return time.Second, nil
	}
	return 0, fmt.Errorf("reading: precision %q is not one of %s", text, strings.Join(Precisions(), ", "))
}

// parseInflux reads one line of the line protocol:
//
//	measurement,tag=a,other=b field=21.5,count=3i,name="x" 1700000000000000000
//
// Its labels are "measurement" and "tag.NAME".
func parseInflux(line string, unit time.Duration) (Set, error) {
	key, rest, ok := cut(strings.TrimSpace(line), " ", false)
	if !ok || rest == "" {
		return Set{}, errors.New("reading: the line has no field: want MEASUREMENT[,TAG=VALUE] FIELD=VALUE [TIME]")
	}
	set := Set{Labels: map[string]string{}}
	if err := set.tags(key); err != nil {
		return Set{}, err
	}
	fields, stamp, _ := cut(strings.TrimLeft(rest, " "), " ", true)
	if err := set.influxFields(fields); err != nil {
		return Set{}, err
	}
	if stamp = strings.TrimSpace(stamp); stamp != "" {
		n, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
			return Set{}, errors.New("reading: what stands behind the fields is not a time in this precision")
		}
		set.Time = time.Unix(0, n*int64(unit)).UTC()
	}
	return set, nil
}

func (s *Set) tags(key string) error {
	name, rest, more := cut(key, ",", false)
	if name == "" {
		return errors.New("reading: the line has no measurement")
	}
	s.Labels["measurement"] = unescape(name)
	for n := 1; more; n++ {
		var tag string
		tag, rest, more = cut(rest, ",", false)
		name, value, ok := cut(tag, "=", false)
		if !ok || name == "" || value == "" {
			return fmt.Errorf("reading: tag %d is not TAG=VALUE", n)
		}
		s.Labels["tag."+unescape(name)] = unescape(value)
	}
	return nil
}

func (s *Set) influxFields(text string) error {
	names := make(map[string]int)
	for n, more := 1, true; more; n++ {
		var field string
		field, text, more = cut(text, ",", true)
		name, value, ok := cut(field, "=", true)
		if !ok || name == "" || value == "" {
			return fmt.Errorf("reading: field %d is not FIELD=VALUE", n)
		}
		v, err := influxValue(value)
		if err != nil {
			return fmt.Errorf("reading: field %d: %w", n, err)
		}
		name = unescape(name)
		if at, twice := names[name]; twice {
			s.Fields[at].Value = v // the last one counts, as in the database
			continue
		}
		names[name] = len(s.Fields)
		s.Fields = append(s.Fields, Field{name, v})
	}
	return nil
}

var errNoValue = errors.New("it is not a value: a text stands in quotes")

// influxValue doesn't quote the text in its errors, which are logged.
func influxValue(text string) (Value, error) {
	if text[0] == '"' {
		if len(text) < 2 || text[len(text)-1] != '"' {
			return Value{}, errors.New("the text has no end")
		}
		return quoted(strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text[1 : len(text)-1])), nil
	}
	switch text {
	case "t", "T", "true", "True", "TRUE":
		return Bool(true), nil
	case "f", "F", "false", "False", "FALSE":
		return Bool(false), nil
	}
	digits := text[:len(text)-1]
	switch text[len(text)-1] {
	case 'i':
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return Int(n), nil
		}
	case 'u':
		if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
			return Uint(n), nil
		}
	default:
		if v := Text(text); v.kind == isNumber {
			return v, nil
		}
		if n, err := strconv.ParseFloat(text, 64); err == nil { // +1, .5, 1.
			return Number(n)
		}
	}
	return Value{}, errNoValue
}

// cut is strings.Cut around the first of the separator that is not escaped and,
// if quotes matter, not inside of a quoted text.
func cut(s, separator string, quotes bool) (before, after string, found bool) {
	inside := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case quotes && s[i] == '"':
			inside = !inside
		case !inside && s[i] == separator[0]:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// unescape removes the backslashes before what has a meaning of its own.
func unescape(s string) string {
	return strings.NewReplacer(`\,`, ",", `\=`, "=", `\ `, " ").Replace(s)
}
