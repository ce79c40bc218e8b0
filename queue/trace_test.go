package queue_test

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// call is one system call of a traced run that matters to the disk, or a line that the program said.
type call struct {
	kind   string // write, truncate, sync, syncdir, create, rena(me), unli(nk), link, say
	file   int    // inode, as the model numbers them
	offset int64  // of a write; size of a truncate
	data   []byte
	name   string // of create, rename (from), unlink, link (from); text of say
	to     string
}

// record runs a child under strace and returns its calls on files in the folder of path, in the order of their ends.
func record(t *testing.T, mode, path string) []call {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	cmd := child(t, mode, path, tool(t, "strace"), "-f", "-qq", "-xx", "-s", "1000000", "-o", log,
		"-e", "trace=openat,close,pwrite64,write,ftruncate,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,link,linkat")
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v after %q", err, out)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &traceParser{dir: filepath.Dir(path), fds: map[string]int{}, dirs: map[string]bool{}, inodes: map[string]int{}, begun: map[string]string{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if err := p.line(lines.Text()); err != nil {
			t.Fatalf("%v in %.200q", err, lines.Text())
		}
	}
	return p.calls
}

// traceParser follows which file descriptor and which name lead to which file.
type traceParser struct {
	dir    string
	fds    map[string]int // to inodes
	dirs   map[string]bool
	inodes map[string]int // by name
	begun  map[string]string
	calls  []call
	last   int // inode given
}

func (p *traceParser) line(s string) error {
	pid, rest, _ := strings.Cut(s, " ")
	rest = strings.TrimLeft(rest, " ")
	if head, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
		p.begun[pid] = head
		return nil
	}
	if _, tail, ok := strings.Cut(rest, " resumed>"); ok && strings.HasPrefix(rest, "<... ") {
		rest = p.begun[pid] + tail
	}
	name, rest, _ := strings.Cut(rest, "(")
	end := strings.LastIndex(rest, ") ")
	if end < 0 {
		return nil // a signal or an exit
	}
	result, _, _ := strings.Cut(strings.TrimLeft(rest[end+2:], " ="), " ")
	if result == "?" || strings.HasPrefix(result, "-") {
		return nil // the call failed, or the program ended in it
	}
	// Strings are in hexadecimal digits: no quote and no comma is part of one.
	parts := strings.Split(rest[:end], `"`)
	var strs []string
	for i := 1; i < len(parts); i += 2 {
		b, err := hex.DecodeString(strings.ReplaceAll(parts[i], `\x`, ""))
		if err != nil {
			return err
		}
		strs = append(strs, string(b))
		parts[i] = "S"
	}
	return p.apply(name, strings.Split(strings.Join(parts, ""), ", "), strs, result)
}

func (p *traceParser) inside(name string) bool { return filepath.Dir(name) == p.dir }

func (p *traceParser) apply(name string, args, strs []string, result string) error {
	ino, known := p.fds[args[0]]
	switch name {
	case "openat":
		p.opened(strs[0], args, result)
	case "close":
		delete(p.fds, args[0])
		delete(p.dirs, args[0])
	case "pwrite64":
		if !known {
			return nil
		}
		at, err := strconv.ParseInt(args[3], 10, 64)
		if n, _ := strconv.Atoi(result); n != len(strs[0]) {
			return fmt.Errorf("%d of %d bytes written", n, len(strs[0]))
		}
		p.calls = append(p.calls, call{kind: "write", file: ino, offset: at, data: []byte(strs[0])})
		return err
	case "write":
		if args[0] == "1" {
			p.calls = append(p.calls, call{kind: "say", name: strs[0]})
		} else if known {
			return fmt.Errorf("a write without an offset")
		}
	case "ftruncate":
		if known {
			size, err := strconv.ParseInt(args[1], 10, 64)
			p.calls = append(p.calls, call{kind: "truncate", file: ino, offset: size})
			return err
		}
	case "fdatasync", "fsync":
		if known {
			p.calls = append(p.calls, call{kind: "sync", file: ino})
		} else if p.dirs[args[0]] {
			p.calls = append(p.calls, call{kind: "syncdir"})
		}
	case "rename", "renameat", "renameat2", "link", "linkat":
		if p.inside(strs[0]) {
			p.inodes[strs[1]] = p.inodes[strs[0]]
			if name[:4] == "rena" {
				delete(p.inodes, strs[0])
			}
			p.calls = append(p.calls, call{kind: name[:4], name: strs[0], to: strs[1]})
		}
	case "unlink", "unlinkat":
		if p.inside(strs[0]) {
			delete(p.inodes, strs[0])
			p.calls = append(p.calls, call{kind: "unli", name: strs[0]})
		}
	}
	return nil
}

func (p *traceParser) opened(name string, args []string, fd string) {
	if name == p.dir {
		p.dirs[fd] = true
	}
	if !p.inside(name) {
		return
	}
	ino, ok := p.inodes[name]
	if !ok {
		p.last++
		ino = p.last
		p.inodes[name] = ino
		p.calls = append(p.calls, call{kind: "create", file: ino, name: name})
	}
	p.fds[fd] = ino
}
