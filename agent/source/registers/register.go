package registers

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// A Register is one value of a device.
type Register struct {
	Field   string  // the value's name
	Table   string  // one of Tables
	Address uint16  // of the first word, counted from 0
	Type    string  // one of Types; bool for coil and discrete
	Order   string  // of the bytes on the wire, one of Orders
	Scale   float64 // what the number is multiplied by; 0 means 1
	Offset  float64 // what is added then
}

// Tables lists the four address spaces of a device.
func Tables() []string { return []string{"holding", "input", "coil", "discrete"} }

// Types lists what a register can hold.
func Types() []string {
	return []string{"uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bool"}
}

// Orders lists how a device may send the bytes of a value, of which a is the
// most significant of each four.
func Orders() []string { return []string{"abcd", "cdab", "badc", "dcba"} }

// IsBit reports whether the register's table holds bits and not words.
func (r Register) IsBit() bool { return r.Table == "coil" || r.Table == "discrete" }

// Words returns how many addresses the register takes up.
func (r Register) Words() int {
	switch {
	case r.IsBit():
		return 1
	case strings.HasSuffix(r.Type, "64"):
		return 4
	case strings.HasSuffix(r.Type, "32"):
		return 2
	}
	return 1
}

// Check says what is wrong with the register.
func (r Register) Check() error {
	switch {
	case !slices.Contains(Tables(), r.Table):
		return fmt.Errorf("registers: table %q is not one of %s", r.Table, strings.Join(Tables(), ", "))
	case !slices.Contains(Types(), r.Type):
		return fmt.Errorf("registers: type %q is not one of %s", r.Type, strings.Join(Types(), ", "))
	case !slices.Contains(Orders(), r.Order):
		return fmt.Errorf("registers: order %q is not one of %s", r.Order, strings.Join(Orders(), ", "))
	case r.IsBit() && r.Type != "bool":
		return fmt.Errorf("registers: a %s is a bool, not %s", r.Table, r.Type)
	case int(r.Address)+r.Words() > 1<<16:
		return fmt.Errorf("registers: a %s at %d reaches beyond the last address, 65535", r.Type, r.Address)
	}
	return nil
}

// Value returns what the words mean; there are Words of them, as two bytes each
// in the order of the wire. A bit is one byte.
func (r Register) Value(raw []byte) (reading.Value, error) {
	if r.IsBit() {
		return reading.Bool(raw[0] != 0), nil
	}
	b := r.bigEndian(raw)
	var n float64
	switch r.Type {
	case "bool":
		return reading.Bool(binary.BigEndian.Uint16(b) != 0), nil
	case "float32":
		f := math.Float32frombits(binary.BigEndian.Uint32(b))
		if r.plain() {
			return reading.Number32(f)
		}
		n = float64(f)
	case "float64":
		n = math.Float64frombits(binary.BigEndian.Uint64(b))
	default:
		unsigned, signed := integer(b)
		if strings.HasPrefix(r.Type, "int") {
			if r.plain() {
				return reading.Int(signed), nil
			}
			n = float64(signed)
		} else {
			if r.plain() {
				return reading.Uint(unsigned), nil
			}
			n = float64(unsigned)
		}
	}
	return reading.Scaled(n, r.Scale, r.Offset)
}

func (r Register) plain() bool { return (r.Scale == 0 || r.Scale == 1) && r.Offset == 0 }

// integer returns the number of 2, 4 or 8 bytes without and with a sign.
func integer(b []byte) (unsigned uint64, signed int64) {
	switch len(b) {
	case 2:
		n := binary.BigEndian.Uint16(b)
		return uint64(n), int64(int16(n))
	case 4:
		n := binary.BigEndian.Uint32(b)
		return uint64(n), int64(int32(n))
	}
	n := binary.BigEndian.Uint64(b)
	return n, int64(n)
}

// bigEndian puts the bytes into the order abcd. For eight of them the order of
// the words or bytes is turned around over the whole length, as devices do.
func (r Register) bigEndian(raw []byte) []byte {
	b := slices.Clone(raw)
	if r.Order == "cdab" || r.Order == "dcba" { // words
		for i, j := 0, len(b)-2; i < j; i, j = i+2, j-2 {
			b[i], b[i+1], b[j], b[j+1] = b[j], b[j+1], b[i], b[i+1]
		}
	}
	if r.Order == "badc" || r.Order == "dcba" { // bytes of a word
		for i := 0; i+1 < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	}
	return b
}
