package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile is far more than a configuration with a comment on every key needs,
// and little enough to be read into memory whatever the path names.
const maxFile = 1 << 20

// Load reads the file at path, applies the overrides of env (in the form of
// [os.Environ]), checks everything and reads the files that hold secrets. The
// error is an [*Error].
func Load(path string, env []string) (*Config, error) {
	data, err := readLimited(path, maxFile)
	if err != nil {
		return nil, &Error{[]Problem{unreadable(path, err)}}
	}
	l := newLoader(path, data, env)
	l.load()
	l.readSecrets()
	l.checkWritable(path)
	return l.result()
}

// Parse is Load for a configuration in memory. The name stands for the file in
// errors. Files with secrets are not read: their fields stay empty.
func Parse(name string, data []byte, env []string) (*Config, error) {
	l := newLoader(name, data, env)
	l.load()
	return l.result()
}

// checkWritable refuses a file that everybody may change: it names the programs that the agent starts. A group may, since some
// systems give each user one of its own.
func (l *loader) checkWritable(path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
		l.report(Problem{
			Message: fmt.Sprintf("can be changed by everybody on this machine (its mode is %#o)", info.Mode().Perm()),
			Hint:    "run: chmod o-w " + path,
		})
	}
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("longer than %s", Size(limit))
	}
	return data, err
}

func unreadable(path string, err error) Problem {
	p := Problem{File: path, Message: "can't read the configuration: " + reason(err)}
	switch {
	case errors.Is(err, os.ErrNotExist):
		p.Hint = "make one with: fieldpost config init > " + path
	case errors.Is(err, os.ErrPermission):
		p.Hint = "run as the user that the file belongs to, or as root"
	}
	return p
}

// reason returns the text of err without the path, which stands beside it.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// A place is where a value comes from.
type place struct {
	line, column int
	variable     string
}

// A loader turns one file into a Config and gathers what is wrong with it.
type loader struct {
	name     string
	data     []byte
	lines    []string
	env      map[string]string
	cfg      *Config
	places   map[string]place // of each key that was set
	broken   map[string]bool  // keys whose value couldn't be read: not checked further
	problems []Problem
}

func newLoader(name string, data []byte, env []string) *loader {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors put a byte order mark there
	l := &loader{
		name:   name,
		data:   data,
		lines:  strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"),
		env:    make(map[string]string, len(env)),
		cfg:    Default(),
		places: make(map[string]place),
		broken: make(map[string]bool),
	}
	for _, kv := range env {
		if k, v, ok := strings.Cut(kv, "="); ok {
			l.env[k] = v
		}
	}
	return l
}

func (l *loader) result() (*Config, error) {
	if len(l.problems) > 0 {
		return nil, &Error{sorted(l.problems)}
	}
	return l.cfg, nil
}

// load does all that needs no other file.
func (l *loader) load() {
	keys := keysOf(l.cfg)
	l.decodeFile(keys)
	l.override(keys)
	l.cfg.normalize()
	for _, p := range l.cfg.problems() {
		if !l.broken[p.Key] {
			l.report(p)
		}
	}
}

func (l *loader) decodeFile(keys *keyTable) {
	file, whole := l.parse()
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if i > 0 {
			l.reportNode(doc.Body, Problem{Message: "a second document", Hint: "remove the line --- and what doesn't belong here"})
			continue
		}
		l.section(keys, "", doc.Body)
	}
	if whole {
		return
	}
	// What the unreadable lines would have said is unknown, so nothing is missing.
	for _, k := range keys.all {
		if _, set := l.places[k.path]; !set {
			l.broken[k.path] = true
		}
	}
}

// report adds a problem, with the place of its key if the problem has none.
func (l *loader) report(p Problem) {
	if at, ok := l.find(p.Key); ok {
		if at.variable != "" {
			p.Variable = at.variable
		} else {
			l.reportAt(at.line, at.column, p)
			return
		}
	} else {
		p.File = l.name
	}
	l.problems = append(l.problems, p)
}

// find returns the place of key or, if it isn't set, that of the section in
// which it would stand.
func (l *loader) find(key string) (place, bool) {
	for key != "" {
		if at, ok := l.places[key]; ok {
			return at, true
		}
		key = key[:max(strings.LastIndexByte(key, '.'), 0)]
	}
	return place{}, false
}

func (l *loader) reportAt(line, column int, p Problem) {
	p.File, p.Line, p.Column = l.name, line, column
	if line >= 1 && line <= len(l.lines) {
		p.Column = skipBlanks(l.lines[line-1], column)
		p.Source = printable(redactLine(l.lines[line-1]))
	}
	l.problems = append(l.problems, p)
}

// skipBlanks moves a column on to what stands there: the parser doesn't count
// the tabs before a value.
func skipBlanks(line string, column int) int {
	runes := []rune(line)
	for i := column - 1; i >= 0 && i < len(runes); i++ {
		if runes[i] != ' ' && runes[i] != '\t' {
			return i + 1
		}
	}
	return column
}

// printable keeps a terminal from being driven by the file's content.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
}
