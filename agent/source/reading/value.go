package reading

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Set is what was read at one moment.
type Set struct {
	Labels map[string]string // for the topic: "measurement", "chip", …
	Fields []Field           // at least one; with several, each has a name of its own
	Time   time.Time         // when that was, if the sensor says so; else zero
}

// A Field is one value and its name; the name is empty if there is one value
// only and nobody named it.
type Field struct {
	Name  string
	Value Value
}

// A Value is a number, a text, or a piece of JSON.
type Value struct {
	text string // as it is sent in plain form
	json string // as it is sent inside of JSON
	num  float64
	kind kind
}

type kind uint8

const (
	isText kind = iota
	isNumber
	isJSON
)

// Text returns a value that is the text, which is a number if it looks like
// one in JSON; it then keeps its digits.
func Text(s string) Value {
	if n, ok := jsonNumber(s); ok {
		return Value{text: s, json: s, num: n, kind: isNumber}
	}
	return Value{text: s, json: quote(s)}
}

// jsonNumber parses what is a number in JSON, and finite.
func jsonNumber(s string) (float64, bool) {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') || !json.Valid([]byte(s)) {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil
}

// errNotFinite is the fate of infinities and of what is not a number: JSON has
// no word for them, and no deadband can be drawn around them.
var errNotFinite = errors.New("the value is not a finite number")

// Number returns a number with as few digits as tell it from its neighbours.
func Number(n float64) (Value, error) { return number(n, 64) }

// Number32 is Number for a value that had single precision: 0.1 stays 0.1.
func Number32(n float32) (Value, error) { return number(float64(n), 32) }

func number(n float64, bits int) (Value, error) {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return Value{}, errNotFinite
	}
	format := byte('f')
	if a := math.Abs(n); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	s := strconv.FormatFloat(n, format, -1, bits)
	return Value{text: s, json: s, num: n, kind: isNumber}, nil
}

// Int and Uint return whole numbers.
func Int(n int64) Value {
	s := strconv.FormatInt(n, 10)
	return Value{text: s, json: s, num: float64(n), kind: isNumber}
}

// Uint is Int for what is never negative.
func Uint(n uint64) Value {
	s := strconv.FormatUint(n, 10)
	return Value{text: s, json: s, num: float64(n), kind: isNumber}
}

// Bool returns true or false.
func Bool(b bool) Value {
	s := strconv.FormatBool(b)
	return Value{text: s, json: s, kind: isJSON}
}

// rawJSON returns a value that is valid JSON: true, null, a list.
func rawJSON(text string) Value { return Value{text: text, json: text, kind: isJSON} }

// quoted returns a text that is never taken for a number.
func quoted(s string) Value { return Value{text: s, json: quote(s)} }

// String returns the value as it is sent in plain form.
func (v Value) String() string { return v.text }

// JSON returns the value as it stands in JSON.
func (v Value) JSON() string { return v.json }

// Float returns the number, if it is one.
func (v Value) Float() (float64, bool) { return v.num, v.kind == isNumber }

// differs reports whether the value has moved away from before by at least the
// deadband.
func (v Value) differs(before Value, deadband float64) bool {
	if v.kind == isNumber && before.kind == isNumber {
		if deadband > 0 {
			return math.Abs(v.num-before.num) >= deadband
		}
		return v.num != before.num
	}
	return v.kind != before.kind || v.text != before.text
}

func quote(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic("reading: a text that can't be written as JSON: " + err.Error()) // there is none
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// isReadable reports whether a line is text, and not the noise of a wrong baud
// rate or a binary file.
func isReadable(line []byte) bool {
	if !utf8.Valid(line) {
		return false
	}
	for _, r := range string(line) {
		if r != '\t' && (unicode.IsControl(r) || r == utf8.RuneError) {
			return false
		}
	}
	return true
}

// Scaled returns n * scale + offset, where a scale of 0 means 1, without the
// digits that only come from computing in binary: 215 * 0.1 is 21.5.
func Scaled(n, scale, offset float64) (Value, error) {
	if scale == 0 {
		scale = 1
	}
	exact := n*scale + offset
	if math.IsNaN(exact) || math.IsInf(exact, 0) {
		return Value{}, errNotFinite
	}
	// 12 digits are more than any sensor has, and leave the rounding of the product to be dropped.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(exact, 'g', 12, 64), 64)
	if err != nil {
		return Value{}, errNotFinite
	}
	return Number(rounded)
}
