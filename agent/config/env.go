package config

import "slices"

// variablePrefix begins the names of the variables that override keys.
const variablePrefix = "FIELDPOST_"

// override applies the environment. Variables with the prefix that name no key
// may belong to others (an orchestrator adds its own), so they are a mistake
// only if they look like a misspelt key.
func (l *loader) override(keys *keyTable) {
	names := make([]string, 0, len(keys.all))
	for _, k := range keys.all {
		name := k.variable()
		names = append(names, name)
		text, set := l.env[name]
		if !set {
			continue
		}
		l.places[k.path] = place{variable: name}
		delete(l.broken, k.path)
		l.problems = slices.DeleteFunc(l.problems, func(p Problem) bool { return p.Key == k.path })
		if err := k.set(text); err != nil {
			l.broken[k.path] = true
			l.report(Problem{Key: k.path, Message: err.Error()})
		}
	}
	for name := range l.env {
		if near := misspelt(name, names); near != "" {
			l.problems = append(l.problems, Problem{Variable: name, Message: "names no key", Hint: "did you mean " + near + "?"})
		}
	}
}

// misspelt returns the known name that an unknown one differs from by a letter
// or two.
func misspelt(name string, known []string) string {
	if len(name) <= len(variablePrefix) || name[:len(variablePrefix)] != variablePrefix || slices.Contains(known, name) {
		return ""
	}
	for _, k := range known {
		if distance(name, k) <= 2 {
			return k
		}
	}
	return ""
}
