package mutant

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Mutant is one defect.
type Mutant struct {
	Name  string
	What  string // goes wrong
	Edits []Edit
}

// Edit replaces some lines of a file.
type Edit struct {
	File     string // from the root of the module
	Old, New string // whole lines
}

// Parse reads mutants. The name of the text is for errors.
func Parse(name, text string) ([]Mutant, error) {
	var list []Mutant
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fault := func(why string) ([]Mutant, error) {
			return nil, fmt.Errorf("mutant: %s:%d: %s: %q", name, i+1, why, line)
		}
		head, isHead := strings.CutPrefix(line, "=== ")
		file, isFile := strings.CutPrefix(line, "--- ")
		switch {
		case strings.HasPrefix(line, "#"), line == "" && len(list) == 0:
		case isHead:
			word, what, ok := strings.Cut(head, ": ")
			if !ok {
				return fault("want === NAME: WHAT")
			}
			list = append(list, Mutant{Name: word, What: what})
		case len(list) == 0:
			return fault("there is no === NAME: WHAT above")
		case isFile:
			m := &list[len(list)-1]
			m.Edits = append(m.Edits, Edit{File: file})
		default:
			edits := list[len(list)-1].Edits
			if len(edits) == 0 {
				return fault("there is no --- FILE above")
			}
			if !edits[len(edits)-1].line(line) {
				return fault("a line begins with a space, - or +")
			}
		}
	}
	return list, nil
}

// line adds a line of the text to the edit.
func (e *Edit) line(line string) bool {
	if line == "" {
		line = " " // editors cut trailing spaces
	}
	rest := line[1:] + "\n"
	switch line[0] {
	case ' ':
		e.Old, e.New = e.Old+rest, e.New+rest
	case '-':
		e.Old += rest
	case '+':
		e.New += rest
	default:
		return false
	}
	return true
}

// Apply returns the changed files of the module at root, by their names from there.
func (m Mutant) Apply(root string) (map[string]string, error) {
	changed := make(map[string]string)
	for _, e := range m.Edits {
		text, ok := changed[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("mutant: %s: %w", m.Name, err)
			}
			text = string(b)
		}
		at := places(text, e.Old)
		if len(at) != 1 {
			return nil, fmt.Errorf("mutant: %s: what it replaces in %s stands there %d times, want once; the source has moved on: write the mutant anew.\n%s",
				m.Name, e.File, len(at), e.Old)
		}
		changed[e.File] = text[:at[0]] + e.New + text[at[0]+len(e.Old):]
	}
	return changed, nil
}

// places are where the lines stand in the text.
func places(text, lines string) (at []int) {
	for begin := 0; lines != "" && begin < len(text); {
		if strings.HasPrefix(text[begin:], lines) {
			at = append(at, begin)
		}
		end := strings.IndexByte(text[begin:], '\n')
		if end < 0 {
			break
		}
		begin += end + 1
	}
	return at
}

// Overlay writes the changed files into dir, and the file that go build -overlay takes. It returns the name of the latter.
func (m Mutant) Overlay(root, dir string) (string, error) {
	changed, err := m.Apply(root)
	if err != nil {
		return "", err
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = make(map[string]string)
	for file, text := range changed {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("mutant: %w", err)
		}
		overlay.Replace[filepath.Join(root, file)] = copied
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", fmt.Errorf("mutant: %w", err)
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, text, 0o600)
}
