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
)

// pinGuard remembers which PIN was tried on which SIM, before it is sent: three wrong tries block a SIM, and a program that
// restarts itself would make them within a minute. Owner goroutine only.
type pinGuard struct {
	path   string            // "": only this process remembers
	tries  map[string]string // by key: one of the words below
	loaded bool
}

const (
	pinTried  = "tried"  // sent, and not seen to work
	pinWorked = "worked" // unlocked the SIM
	pinAgain  = "again"  // has worked before, and was sent again after a power-on
)

// fullTries is what a SIM that has seen no wrong PIN since the last right one has left (3GPP TS 51.011).
const fullTries = 3

// stored is the state file: keys are hashes, so that it shows no PIN and no SIM number to a casual reader.
type stored struct {
	Schema int               `json:"schema"`
	Tries  map[string]string `json:"pin_tries"`
}

func pinKey(iccid, pin string) string {
	sum := sha256.Sum256([]byte("fieldpost pin\x00" + iccid + "\x00" + pin))
	return hex.EncodeToString(sum[:])
}

// claim notes that the PIN is about to be tried, on disk when there is a file, and reports whether it may be. A PIN that has
// worked on this SIM may be given again after each power-on; if the last time was cut short, only while the SIM has all its
// tries, which proves that it was not refused. When it can't be noted the error is not nil, and the PIN must not be sent.
func (g *pinGuard) claim(iccid, pin string, left int) (allowed bool, err error) {
	if err := g.load(); err != nil {
		return false, err
	}
	key := pinKey(iccid, pin)
	next := pinTried
	switch g.tries[key] {
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
	g.tries[key] = next
	return true, g.save()
}

// settle notes how the try ended. If that can't be written, the file says "tried" or "again": the safe side.
func (g *pinGuard) settle(iccid, pin string, worked bool) {
	g.tries[pinKey(iccid, pin)] = pinTried
	if worked {
		g.tries[pinKey(iccid, pin)] = pinWorked
	}
	_ = g.save()
}

func (g *pinGuard) load() error {
	if g.loaded {
		return nil
	}
	g.tries = make(map[string]string)
	if g.path == "" {
		g.loaded = true
		return nil
	}
	b, err := os.ReadFile(g.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		s := stored{Tries: g.tries}
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("%s is damaged; delete it only if no wrong PIN was tried: %w", g.path, err)
		}
		if s.Tries != nil {
			g.tries = s.Tries
		}
	}
	g.loaded = true
	return nil
}

// save writes the file so that after a power cut it is the old or the new one: temporary file, fsync, rename, fsync of the
// directory.
func (g *pinGuard) save() (err error) {
	if g.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(stored{Schema: 1, Tries: g.tries}, "", "\t")
	if err != nil {
		return err
	}
	tmp := g.path + ".new"
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
		err = os.Rename(tmp, g.path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(g.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
