package reading

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxDepth is beyond what sensors nest.
const maxDepth = 16

// parseJSON returns the members of an object, by name in order; those of an
// object inside of it as "outer.inner". A line that is a single value has no
// name.
func parseJSON(line string, wanted []string) (Set, error) {
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return Set{}, fmt.Errorf("reading: the line is not JSON: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Set{}, errors.New("reading: the line holds more than one JSON value")
	}
	all := make(map[string]Value)
	if err := flatten(all, "", v, 0); err != nil {
		return Set{}, err
	}
	var set Set
	if len(wanted) == 0 {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			set.Fields = append(set.Fields, Field{name, all[name]})
		}
		return set, nil
	}
	for _, name := range wanted {
		value, ok := all[name]
		if !ok {
			return Set{}, fmt.Errorf("reading: the line has no %s", name)
		}
		set.Fields = append(set.Fields, Field{name, value})
	}
	return set, nil
}

func flatten(into map[string]Value, name string, v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("reading: the line nests more than %d objects", maxDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			path := key
			if name != "" {
				path = name + "." + key
			}
			if err := flatten(into, path, inner, depth+1); err != nil {
				return err
			}
		}
	case json.Number:
		into[name] = Text(v.String())
	case string:
		into[name] = quoted(v)
	case bool:
		into[name] = Bool(v)
	default: // null, or a list
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		into[name] = rawJSON(string(text))
	}
	return nil
}
