package gsmnet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// memory is what must survive a restart of the program: which PIN was tried on which SIM, since three wrong ones block it and a
// program that restarts itself would try them within a minute; and when the module was restarted, since it must not be again and
// again. Owner goroutine only.
type memory struct {
	path   string // "": only this process remembers
	loaded bool
	stored
}

// stored is the state file. The keys of the PINs are hashes, so that it shows no PIN and no SIM number to a casual reader.
type stored struct {
	Schema   int               `json:"schema"`
	Tries    map[string]string `json:"pin_tries"`    // by key: one of the words below
	Restarts int               `json:"restarts"`     // in a row, without a connection in between
	Last     time.Time         `json:"last_restart"` // by the machine's clock
}

const (
	pinTried  = "tried"  // sent, and not seen to work
	pinWorked = "worked" // unlocked the SIM
	pinAgain  = "again"  // has worked before, and was sent again after a power-on
)

// fullTries is what a SIM that has seen no wrong PIN since the last right one has left (3GPP TS 51.011).
const fullTries = 3

func pinKey(iccid, pin string) string {
	sum := sha256.Sum256([]byte("fieldpost pin\x00" + iccid + "\x00" + pin))
	return hex.EncodeToString(sum[:])
}

// claim notes that the PIN is about to be tried, on disk when there is a file, and reports whether it may be. A PIN that has
// worked on this SIM may be given again after each power-on; if the last time was cut short, only while the SIM has all its
// tries, which proves that it was not refused. When it can't be noted the error is not nil, and the PIN must not be sent.
func (m *memory) claim(iccid, pin string, left int) (allowed bool, err error) {
	if err := m.load(); err != nil {
		return false, err
	}
	key := pinKey(iccid, pin)
	next := pinTried
	switch m.Tries[key] {
	case "":
	case pinWorked:
		next = pinAgain
	case pinAgain:
		if left < fullTries {
			return false, nil
		}
		next = pinAgain
	default:
		return false, nil
	}
	m.Tries[key] = next
	return true, m.save()
}

// settle notes how the try ended. If that can't be written, the file says "tried" or "again": the safe side.
func (m *memory) settle(iccid, pin string, worked bool) {
	m.Tries[pinKey(iccid, pin)] = pinTried
	if worked {
		m.Tries[pinKey(iccid, pin)] = pinWorked
	}
	_ = m.save()
}

func (m *memory) load() error {
	if m.loaded {
		return nil
	}
	m.Schema, m.Tries = 1, make(map[string]string)
	if m.path == "" {
		m.loaded = true
		return nil
	}
	b, err := os.ReadFile(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(b, &m.stored); err != nil {
			return fmt.Errorf("%s is damaged; delete it only if no wrong PIN was tried: %w", m.path, err)
		}
		if m.Tries == nil {
			m.Tries = make(map[string]string)
		}
	}
	m.loaded = true
	return nil
}

// save writes the file so that after a power cut it is the old or the new one: temporary file, fsync, rename, fsync of the
// directory.
func (m *memory) save() (err error) {
	if m.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(m.stored, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil { // nobody may have made it yet
		return err
	}
	tmp := m.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, m.path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(m.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
