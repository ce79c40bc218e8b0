package config

import (
	"slices"
	"strings"
)

// Socket returns the control socket that a file names which is broken elsewhere, so that the agent which runs with an earlier version
// of it can be asked. ok is false where the file can't be read, or what tells the socket can't.
func Socket(path string, env []string) (socket string, ok bool) {
	data, err := readLimited(path, maxFile)
	if err != nil {
		return "", false
	}
	l := newLoader(path, data, env)
	if socket, ok = l.socket(); ok || slices.ContainsFunc(l.lines, func(line string) bool { return strings.HasPrefix(line, "{") }) {
		return socket, ok
	}
	// The file is no YAML further on: the two blocks alone may be.
	l = newLoader(path, data, env)
	l.lines = blocks(l.lines, "data_dir", "control")
	return l.socket()
}

func (l *loader) socket() (socket string, ok bool) {
	keys := keysOf(l.cfg)
	l.decodeFile(keys)
	l.override(keys)
	for _, p := range l.problems {
		if p.Key == "control" || p.Key == "data_dir" || p.Key == "control.socket" {
			return "", false
		}
	}
	if l.broken["data_dir"] || l.broken["control.socket"] {
		return "", false
	}
	return l.cfg.ControlSocket(), true
}

// blocks returns the lines of the top keys, each with those below it that are indented; all others are empty.
func blocks(lines []string, keys ...string) []string {
	kept := make([]string, len(lines))
	within := false
	for i, line := range lines {
		if line != "" && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
			name, _, _ := strings.Cut(line, ":")
			within = slices.Contains(keys, strings.Trim(name, `"' `))
		}
		if within {
			kept[i] = line
		}
	}
	return kept
}
