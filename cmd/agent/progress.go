package main

import (
	"bytes"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far something long has come, in one colourless line that goes away. Without a terminal it shows nothing.
type progress struct{ *progressbar.ProgressBar }

// newProgress makes a bar that ends at total, or one without an end if that is negative.
func newProgress(out io.Writer, what string, total int64, inBytes bool) progress {
	if f, ok := out.(*os.File); !ok || !isLive(f) {
		return progress{}
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(inBytes),
		progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
	}
	if !inBytes {
		options = append(options, progressbar.OptionShowCount())
	}
	return progress{progressbar.NewOptions64(total, options...)}
}

func (p progress) at(n int64) {
	if p.ProgressBar != nil {
		_ = p.Set64(n)
	}
}

func (p progress) end() {
	if p.ProgressBar != nil {
		_ = p.Finish()
		_ = p.Clear()
	}
}

// bytes counts what is read.
func (p progress) bytes(r io.Reader) io.Reader {
	if p.ProgressBar == nil {
		return r
	}
	return io.TeeReader(r, p.ProgressBar)
}

// lines counts the lines that are written.
func (p progress) lines(w io.Writer) io.Writer {
	if p.ProgressBar == nil {
		return w
	}
	return lineCounter{w, p}
}

type lineCounter struct {
	io.Writer
	bar progress
}

func (c lineCounter) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	_ = c.bar.Add(bytes.Count(b[:n], []byte("\n")))
	return n, err
}
