package gsmnet

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// TraceFile is a file for a Transcript that doesn't fill the disk: when it is full it becomes FILE.1, in place of an older one,
// and a new one is begun. Nobody but the owner can read them. One goroutine at a time may write.
type TraceFile struct {
	path string
	most int64
	file *os.File
	size int64
}

// OpenTraceFile opens the file, behind what it has already. Together with FILE.1 it takes twice most bytes.
func OpenTraceFile(path string, most int64) (*TraceFile, error) {
	f := &TraceFile{path: path, most: most}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("gsmnet: the trace can't be opened: %w", err)
	}
	return f, nil
}

func (f *TraceFile) open() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", f.path)
	}
	if err == nil {
		err = file.Chmod(0o600) // it may have been there with another mode
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.size = file, info.Size()
	return nil
}

// Write adds whole lines.
func (f *TraceFile) Write(p []byte) (int, error) {
	if f.size > 0 && f.size+int64(len(p)) > f.most {
		if err := f.turn(); err != nil {
			return 0, fmt.Errorf("gsmnet: the trace ends: %w", err)
		}
	}
	n, err := f.file.Write(p)
	f.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("gsmnet: the trace ends: %w", err)
	}
	return n, nil
}

func (f *TraceFile) turn() error {
	if err := f.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	n, err := fmt.Fprintf(f.file, "# %s continues %s.1\n", time.Now().UTC().Format(time.RFC3339), f.path)
	f.size += int64(n)
	return err
}

// Close closes the file.
func (f *TraceFile) Close() error { return f.file.Close() }
