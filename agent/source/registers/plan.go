package registers

import (
	"cmp"
	"slices"
)

// Bounds of one request (section 6 of the specification).
const (
	maxWords = 125
	maxBits  = 2000
)

// MaxGap is how many addresses that nobody asked for are read along rather than
// asking twice: a request costs some 20 bytes on the wire and a turn around.
const MaxGap = 8

// A Request reads a span of one table.
type Request struct {
	Table    string
	Address  uint16
	Count    uint16
	Wanted   []Register // in the span, by address
	position []int      // of each in the list that was planned
}

// Plan returns the requests for the registers.
func Plan(list []Register) []Request {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(list[a].Table, list[b].Table), cmp.Compare(list[a].Address, list[b].Address))
	})
	var plan []Request
	for _, i := range order {
		r := list[i]
		if len(plan) == 0 || !plan[len(plan)-1].take(r, i) {
			plan = append(plan, Request{Table: r.Table, Address: r.Address, Count: uint16(r.Words()), Wanted: []Register{r}, position: []int{i}})
		}
	}
	return plan
}

// take extends the request by a register that lies behind its beginning.
func (q *Request) take(r Register, position int) bool {
	most := maxWords
	if r.IsBit() {
		most = maxBits
	}
	end := int(q.Address) + int(q.Count)
	newEnd := max(end, int(r.Address)+r.Words())
	if r.Table != q.Table || int(r.Address) > end+MaxGap || newEnd-int(q.Address) > most {
		return false
	}
	q.Count = uint16(newEnd - int(q.Address))
	q.Wanted = append(q.Wanted, r)
	q.position = append(q.position, position)
	return true
}

// Position returns where the wanted register i stood in the list.
func (q Request) Position(i int) int { return q.position[i] }

// Raw returns the bytes of the wanted register i out of an answer's; nil if the
// answer is too short.
func (q Request) Raw(i int, answer []byte) []byte {
	r := q.Wanted[i]
	at := int(r.Address) - int(q.Address)
	if r.IsBit() {
		if at/8 >= len(answer) {
			return nil
		}
		return []byte{answer[at/8] >> (at % 8) & 1}
	}
	if 2*(at+r.Words()) > len(answer) {
		return nil
	}
	return answer[2*at : 2*(at+r.Words())]
}
