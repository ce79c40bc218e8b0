package registers_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source/registers"
)

func Example() {
	voltage := registers.Register{Field: "voltage", Table: "input", Address: 0, Type: "uint16", Order: "abcd", Scale: 0.1}
	energy := registers.Register{Field: "energy", Table: "input", Address: 2, Type: "float32", Order: "cdab"}
	plan := registers.Plan([]registers.Register{energy, voltage})
	answer := []byte{0x08, 0xfd, 0, 0, 0x80, 0, 0x44, 0x9a} // what the device says to its one request
	for i, r := range plan[0].Wanted {
		v, _ := r.Value(plan[0].Raw(i, answer))
		fmt.Println(r.Field, v)
	}
	fmt.Println(len(plan), "request of", plan[0].Count, "words")
	// Output:
	// voltage 230.1
	// energy 1236
	// 1 request of 4 words
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		kind, order   string
		scale, offset float64
		raw           []byte
		want          string
	}{
		{"uint16", "abcd", 0, 0, []byte{0xff, 0xfe}, "65534"},
		{"int16", "abcd", 0, 0, []byte{0xff, 0xfe}, "-2"},
		{"int16", "badc", 0, 0, []byte{0xfe, 0xff}, "-2"},
		{"int16", "cdab", 1, 0, []byte{0xff, 0xfe}, "-2"},
		{"int16", "abcd", 0.1, 0, []byte{0, 215}, "21.5"},
		{"uint16", "abcd", 0.1, -40, []byte{2, 0x67}, "21.5"},
		{"uint32", "abcd", 0, 0, []byte{1, 2, 3, 4}, "16909060"},
		{"uint32", "cdab", 0, 0, []byte{3, 4, 1, 2}, "16909060"},
		{"uint32", "badc", 0, 0, []byte{2, 1, 4, 3}, "16909060"},
		{"uint32", "dcba", 0, 0, []byte{4, 3, 2, 1}, "16909060"},
		{"int32", "abcd", 0, 0, []byte{255, 255, 255, 255}, "-1"},
		{"uint64", "abcd", 0, 0, []byte{255, 255, 255, 255, 255, 255, 255, 255}, "18446744073709551615"},
		{"int64", "dcba", 0, 0, []byte{1, 0, 0, 0, 0, 0, 0, 0}, "1"},
		{"uint64", "cdab", 0, 0, []byte{0, 1, 0, 0, 0, 0, 0, 0}, "1"},
		{"float32", "abcd", 0, 0, []byte{0x3d, 0xcc, 0xcc, 0xcd}, "0.1"},
		{"float32", "abcd", 2, 1, []byte{0x3f, 0x80, 0, 0}, "3"},
		{"float32", "abcd", 0, 0, []byte{0x7f, 0xc0, 0, 0}, "!finite"},
		{"float64", "abcd", 0, 0, []byte{0x3f, 0xf8, 0, 0, 0, 0, 0, 0}, "1.5"},
		{"float64", "abcd", 10, 0, []byte{0x7f, 0xef, 255, 255, 255, 255, 255, 255}, "!finite"},
		{"bool", "abcd", 0, 0, []byte{1, 0}, "true"},
		{"bool", "abcd", 0, 0, []byte{0, 0}, "false"},
	} {
		r := registers.Register{Table: "holding", Type: c.kind, Order: c.order, Scale: c.scale, Offset: c.offset}
		if err := r.Check(); err != nil || 2*r.Words() != len(c.raw) {
			t.Errorf("%s: %v, %d words", c.kind, err, r.Words())
		}
		before := string(c.raw)
		v, err := r.Value(c.raw)
		if bad, ok := strings.CutPrefix(c.want, "!"); ok && (err == nil || !strings.Contains(err.Error(), bad)) || !ok && (err != nil || v.String() != c.want) {
			t.Errorf("%s %s of % x: got %v, %v, want %s", c.kind, c.order, c.raw, v, err, c.want)
		}
		if string(c.raw) != before {
			t.Errorf("%s %s: the answer was changed", c.kind, c.order)
		}
	}
}

func TestCheck(t *testing.T) {
	for want, r := range map[string]registers.Register{
		"table":           {Table: "x", Type: "int16", Order: "abcd"},
		"type":            {Table: "input", Type: "int17", Order: "abcd"},
		"order":           {Table: "input", Type: "int16", Order: "acbd"},
		"coil is a bool":  {Table: "coil", Type: "int16", Order: "abcd"},
		"beyond the last": {Table: "input", Type: "int64", Order: "abcd", Address: 65533},
	} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", r, err, want)
		}
	}
}

func TestPlan(t *testing.T) {
	at := func(table string, address uint16, kind string) registers.Register {
		return registers.Register{Table: table, Address: address, Type: kind, Order: "abcd"}
	}
	for _, c := range []struct {
		list []registers.Register
		want string
	}{
		{nil, ""},
		{[]registers.Register{at("input", 10, "int16"), at("input", 0, "float32")}, "input 0+11"},
		{[]registers.Register{at("input", 0, "float32"), at("input", 11, "int16")}, "input 0+2, input 11+1"},
		{[]registers.Register{at("input", 0, "int16"), at("holding", 1, "int16")}, "holding 1+1, input 0+1"},
		{[]registers.Register{at("input", 0, "int64"), at("input", 1, "int16")}, "input 0+4"},
		{[]registers.Register{at("coil", 0, "bool"), at("coil", 8, "bool")}, "coil 0+9"},
	} {
		var got []string
		for _, r := range registers.Plan(c.list) {
			got = append(got, fmt.Sprintf("%s %d+%d", r.Table, r.Address, r.Count))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// Whatever is wanted: each register is read once, where it lies, in requests of a size that is allowed.
func TestPlanReadsEachOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var list []registers.Register
		for range rng.IntN(200) {
			table := registers.Tables()[rng.IntN(4)]
			kind := registers.Types()[rng.IntN(8)]
			if table == "coil" || table == "discrete" {
				kind = "bool"
			}
			list = append(list, registers.Register{Table: table, Address: uint16(rng.IntN(3000)), Type: kind, Order: "abcd"})
		}
		seen := make([]int, len(list))
		for _, q := range registers.Plan(list) {
			answer := make([]byte, 2*q.Count)
			if q.Table == "coil" || q.Table == "discrete" {
				answer = make([]byte, (q.Count+7)/8)
				if q.Count > 2000 {
					t.Fatalf("%d bits in one request", q.Count)
				}
			} else if q.Count > 125 {
				t.Fatalf("%d words in one request", q.Count)
			}
			for i, r := range q.Wanted {
				seen[q.Position(i)]++
				if list[q.Position(i)] != r || q.Raw(i, answer) == nil || q.Raw(i, answer[:max(0, len(answer)-1)]) != nil && int(r.Address)+r.Words() == int(q.Address)+int(q.Count) && !r.IsBit() {
					t.Fatalf("%+v is not in its request %+v", r, q)
				}
			}
		}
		for i, n := range seen {
			if n != 1 {
				t.Fatalf("%+v is read %d times", list[i], n)
			}
		}
	}
}

// FuzzValue gives any bytes to any register: it becomes a value, or an error, and nothing else.
func FuzzValue(f *testing.F) {
	f.Add(uint8(6), uint8(1), 0.1, 2.0, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, kind, order uint8, scale, offset float64, raw []byte) {
		r := registers.Register{Table: "input", Type: registers.Types()[int(kind)%len(registers.Types())],
			Order: registers.Orders()[int(order)%4], Scale: scale, Offset: offset}
		q := registers.Plan([]registers.Register{r})[0]
		part := q.Raw(0, raw)
		if part == nil {
			return
		}
		v, err := r.Value(part)
		if n, ok := v.Float(); err == nil && !ok && r.Type != "bool" {
			t.Errorf("got %v (%v), which is no number", v, n)
		}
	})
}
