package downlink

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

const (
	// remembered is how many ids are known: more than a broker holds in flight to one client, and small enough to share a
	// cursor of 4096 bytes with a command.
	remembered = 128
	// MaxPayload is the longest payload of a command that fits beside them.
	MaxPayload = 2800

	bookVersion = 1
)

// digest stands for an id: 64 bits tell 128 of them apart, whatever their length.
type digest [8]byte

func digestOf(id string) digest {
	sum := sha256.Sum256([]byte(id))
	return digest(sum[:8])
}

// book is what is remembered of commands: the ids that need no further answer, oldest first, and the command at work.
type book struct {
	ids     []digest
	pending *entry // its id is not among ids yet
}

// entry is a command that was taken.
type entry struct {
	name    string
	payload []byte
	begun   bool // and must not begin again
}

func (b book) knows(id string) bool { return slices.Contains(b.ids, digestOf(id)) }

// with returns a copy of the book in which an id is done.
func (b book) with(id string) book {
	ids := append(slices.Clone(b.ids), digestOf(id))
	return book{ids: ids[max(0, len(ids)-remembered):], pending: b.pending}
}

// encode writes the book: version, state (0: no command at work, 1: taken, 3: begun as well), number of ids, the ids, and of
// the command at work the name and the payload, each with its length before it.
func (b book) encode() []byte {
	out := []byte{bookVersion, 0, byte(len(b.ids))}
	for _, id := range b.ids {
		out = append(out, id[:]...)
	}
	if p := b.pending; p != nil {
		out[1] = 1
		if p.begun {
			out[1] = 3
		}
		out = append(out, byte(len(p.name)))
		out = append(out, p.name...)
		out = binary.LittleEndian.AppendUint16(out, uint16(len(p.payload)))
		out = append(out, p.payload...)
	}
	return out
}

var errBook = errors.New("downlink: what was remembered of commands can't be read")

func decodeBook(data []byte) (book, error) {
	var b book
	if len(data) == 0 {
		return b, nil
	}
	if len(data) < 3 || data[0] != bookVersion || data[1]&^3 != 0 || data[1] == 2 || data[2] > remembered {
		return book{}, errBook
	}
	r := bytes.NewReader(data[3:])
	for range data[2] {
		var id digest
		if n, _ := r.Read(id[:]); n < len(id) {
			return book{}, errBook
		}
		b.ids = append(b.ids, id)
	}
	if data[1] == 0 {
		return b, nil
	}
	size, err := r.ReadByte()
	name := make([]byte, size)
	if n, _ := r.Read(name); err != nil || n < len(name) {
		return book{}, errBook
	}
	var length uint16
	if binary.Read(r, binary.LittleEndian, &length) != nil || int(length) != r.Len() {
		return book{}, errBook
	}
	payload := make([]byte, length)
	_, _ = r.Read(payload)
	b.pending = &entry{name: string(name), payload: payload, begun: data[1] == 3}
	return b, nil
}
