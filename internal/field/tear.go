package field

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// queueFile is the name of the queue's file in its folder.
const queueFile = "queue.db"

// sector is what a disk writes whole or not at all.
const sector = 512

// tear makes of the queue's file what a power cut may leave in the middle of a commit, before which the file was as given:
// of the pages some sectors, or all of them and the meta page or not, for a flush lies between the two. It reports false, and
// leaves the file alone, when it was not exactly one commit.
func tear(before []byte, path string, r *rand.Rand) (bool, error) {
	after, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	from, size := lastCommit(before)
	to, _ := lastCommit(after)
	if to != from+1 || len(after) < len(before) {
		return false, nil
	}
	// The file grows, and that is flushed, before anything is written into what it has grown by.
	image := append(bytes.Clone(before), make([]byte, len(after)-len(before))...)
	keep := []float64{0, 0.1, 0.5, 0.9, 1}[r.IntN(5)]
	for at := 2 * size; at < len(after); at += sector { // behind the two meta pages
		end := min(at+sector, len(after))
		if !bytes.Equal(image[at:end], after[at:end]) && r.Float64() < keep {
			copy(image[at:end], after[at:end])
		}
	}
	if keep == 1 && r.IntN(2) == 0 {
		copy(image[:2*size], after[:2*size])
	}
	return true, os.WriteFile(path, image, 0o600)
}

// lastCommit reads the number of the last commit from the two meta pages of a file of bbolt, and its page size.
func lastCommit(file []byte) (number uint64, pageSize int) {
	const header, magic = 16, 0xED0CDAED
	word := binary.NativeEndian
	if len(file) < header+64 || word.Uint32(file[header:]) != magic {
		return 0, os.Getpagesize()
	}
	pageSize = int(word.Uint32(file[header+8:]))
	for at := header; at <= pageSize+header && at+64 <= len(file); at += pageSize {
		number = max(number, word.Uint64(file[at+48:]))
	}
	return number, pageSize
}

// cutInAWrite ends the agent as cut does, while it writes a reading of which no sensor ever hears.
func (w *world) cutInAWrite() error {
	d := w.running()
	if d == nil {
		return nil
	}
	w.tearing = func(d Device, dir string) (func(string) (bool, error), error) {
		before, err := os.ReadFile(filepath.Join(dir, queueFile))
		if err != nil {
			return nil, err
		}
		w.lastBreath(d)
		return func(next string) (bool, error) { return tear(before, filepath.Join(next, queueFile), w.random) }, nil
	}
	defer func() { w.tearing = nil }()
	return w.cut(true)
}

// lastBreath hands a reading to an agent that is cut off: it is being written when the power goes.
func (w *world) lastBreath(d Device) {
	_, list := w.offer(w.random.IntN(len(w.sensors)), 1, 0)
	_, _ = d.Accept(context.Background(), list...) // nobody hears the answer
	w.opts.Settle()
}
