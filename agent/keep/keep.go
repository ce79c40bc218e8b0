package keep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrDamaged says that a file holds something else than what was saved.
var ErrDamaged = errors.New("is damaged")

// damagedSuffix names the file in which damage is set aside, for whoever wants to look; a later one replaces it.
const damagedSuffix = ".damaged"

// Load reads what [Save] has stored under path into v. Where nothing was stored, v stays as it is and the error is nil.
//
// An error leaves v as it is too, and is no reason to stop: the agent learns anew what it has forgotten. One that wraps
// [ErrDamaged] says also where the damaged file is now.
func Load[T any](path string, v *T) error {
	content, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	var value T
	why := decode(content, &value)
	if why == nil {
		*v = value
		return nil
	}
	damaged := fmt.Errorf("keep: %s %w (%v)", path, ErrDamaged, why)
	if err := os.Rename(path, path+damagedSuffix); err != nil {
		return errors.Join(damaged, fmt.Errorf("keep: it can't be set aside: %w", err))
	}
	return fmt.Errorf("%w; it is set aside as %s", damaged, path+damagedSuffix)
}

// Save stores v under path, in a folder that exists. It returns when v would survive a power cut, and blocks on the disk.
// v is anything that encoding/json writes.
func Save(path string, v any) error {
	content, err := encode(v)
	if err != nil {
		return fmt.Errorf("keep: %s: %w", path, err)
	}
	if old, err := read(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := replace(path, content); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	return nil
}

// read is for files alone: opening a named pipe would wait for somebody to write into it.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file: remove it", path)
	}
	return os.ReadFile(path)
}

func encode(v any) ([]byte, error) {
	line, err := json.Marshal(v) // it has no line breaks
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(line, "\n%08x\n", sum(line)), nil
}

func decode(content []byte, v any) error {
	line, rest, _ := bytes.Cut(content, []byte("\n"))
	if want := fmt.Sprintf("%08x\n", sum(line)); string(rest) != want {
		return errors.New("its checksum is wrong")
	}
	return json.Unmarshal(line, v)
}

func sum(line []byte) uint32 { return crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)) }

// replace puts content in the place of the file, through a second file: a power cut leaves one of the two.
func replace(path string, content []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an earlier power cut
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
