package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
)

// A position is how far a file was read. It tells the file itself by its inode
// and by the bytes before the offset, since a file may be cut to nothing and
// written anew, and an inode given to another file.
type position struct {
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"`
	Sum    uint32 `json:"sum"`             // CRC-32 of the last sumBytes before Offset
	Inside bool   `json:"inside,omitzero"` // Offset lies inside of a line that is too long
}

// sumBytes are enough for a time stamp or two.
const sumBytes = 1024

// sumAt returns the checksum of what stands before an offset.
func sumAt(f *os.File, offset int64) (uint32, error) {
	b := make([]byte, min(offset, sumBytes))
	if _, err := f.ReadAt(b, offset-int64(len(b))); err != nil {
		return 0, err
	}
	return crc32.ChecksumIEEE(b), nil
}

// holds reports whether the file begins with what was read up to p.
func (p position) holds(f *os.File) bool {
	sum, err := sumAt(f, p.Offset)
	return err == nil && sum == p.Sum
}

func parsePosition(text []byte) (p position, err error) {
	if err := json.Unmarshal(text, &p); err != nil || p.Offset < 0 {
		return position{}, fmt.Errorf("source: %.80q is not a position in a file", text)
	}
	return p, nil
}

func inodeOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// openFile opens the file, and says which it is.
func openFile(path string) (*os.File, uint64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not block
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, inodeOf(info), nil
}

// rotated matches what log rotation puts behind a file's name. Compressed files
// aren't read.
var rotated = regexp.MustCompile(`^[.-](\d[\d.T_-]*|old|bak)$`)

// generations returns the paths of the file and of its predecessors, the oldest
// first and the file itself last.
func generations(path string) []string {
	type generation struct {
		path string
		info fs.FileInfo
	}
	var older []generation
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return []string{path}
	}
	base := filepath.Base(path)
	for _, e := range list {
		rest, ok := bytes.CutPrefix([]byte(e.Name()), []byte(base))
		if info, err := e.Info(); ok && rotated.Match(rest) && err == nil && info.Mode().IsRegular() {
			older = append(older, generation{filepath.Join(filepath.Dir(path), e.Name()), info})
		}
	}
	slices.SortStableFunc(older, func(a, b generation) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	var paths []string
	for _, g := range older {
		paths = append(paths, g.path)
	}
	return append(paths, path)
}

// locate opens the generation that p is in, and returns those that follow it.
// The file with p's inode is preferred; else it is one that was copied.
func locate(path string, p position) (f *os.File, inode uint64, later []string) {
	all := generations(path)
	for _, sameInode := range []bool{true, false} {
		for i, candidate := range all {
			file, ino, err := openFile(candidate)
			if err != nil {
				continue
			}
			if (ino == p.Inode) == sameInode && (sameInode || p.Offset > 0) && p.holds(file) {
				return file, ino, all[i+1:]
			}
			file.Close()
		}
	}
	return nil, 0, nil
}

// successors returns the generations that are younger than the one with the
// inode; if that is gone, the file itself.
func successors(path string, inode uint64) []string {
	all := generations(path)
	for i, candidate := range all {
		if info, err := os.Stat(candidate); err == nil && inodeOf(info) == inode {
			return all[i+1:]
		}
	}
	return []string{path}
}

// A lineReader returns the lines of a file behind a position.
type lineReader struct {
	file *os.File
	most int // longest line
	buf  []byte
}

// readChunk is beyond the longest line by this much.
const readChunk = 64 << 10

// next returns up to n lines behind p and the position behind them; there are
// none if no whole line is there. With last the file will not grow any more,
// and what has no end of line is one, too.
func (r *lineReader) next(p position, n int, last bool) (lines [][]byte, after position, tooLong int, err error) {
	if r.buf == nil {
		r.buf = make([]byte, r.most+readChunk)
	}
	got, err := r.file.ReadAt(r.buf, p.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, p, 0, err
	}
	rest, after := r.buf[:got], p
	for len(rest) > 0 && len(lines) < n {
		end := bytes.IndexByte(rest, '\n')
		used := end + 1
		if end < 0 {
			full := len(rest) > r.most || p.Inside && after == p && len(rest) > 0
			if !full && !(last && got < len(r.buf)) {
				break
			}
			end, used = len(rest), len(rest)
		}
		line := bytes.TrimSuffix(rest[:end], []byte("\r"))
		switch {
		case after.Inside: // the rest of a line that was too long
		case len(line) > r.most:
			tooLong++
		case len(line) > 0:
			lines = append(lines, bytes.Clone(line))
		}
		after.Inside = used == end // no end of line was seen
		after.Offset += int64(used)
		rest = rest[used:]
	}
	if after.Offset != p.Offset {
		after.Sum, err = sumAt(r.file, after.Offset)
	} else {
		err = nil
	}
	return lines, after, tooLong, err
}
