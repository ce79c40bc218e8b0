package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// A key is one setting: its path and the field that it sets.
type key struct {
	path  string // such as "queue.max_bytes"
	field reflect.Value
}

// keyTable is what the keys are, read off the types, so that file, variables
// and messages can't disagree.
type keyTable struct {
	all      []key
	byPath   map[string]key
	lists    map[string]reflect.Value // path → list of sections
	children map[string][]string      // section path ("" for the top) → names in it
}

func keysOf(c *Config) *keyTable {
	t := &keyTable{byPath: make(map[string]key), lists: make(map[string]reflect.Value), children: make(map[string][]string)}
	t.add("", reflect.ValueOf(c).Elem())
	return t
}

func (t *keyTable) add(section string, v reflect.Value) {
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if option == "inline" {
			t.add(section, v.Field(i))
			continue
		}
		path := join(section, name)
		t.children[section] = append(t.children[section], name)
		if v.Field(i).Kind() == reflect.Struct {
			t.add(path, v.Field(i))
			continue
		}
		if f := v.Field(i); f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			t.lists[path] = f
			continue
		}
		k := key{path, v.Field(i)}
		t.all = append(t.all, k)
		t.byPath[path] = k
	}
}

func (t *keyTable) isSection(path string) bool { return t.children[path] != nil }

// elsewhere returns a key of another section with this name.
func (t *keyTable) elsewhere(name string) string {
	for _, k := range t.all {
		if strings.HasSuffix(k.path, "."+name) {
			return k.path
		}
	}
	return ""
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// variable returns the environment variable that overrides the key.
func (k key) variable() string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(k.path))
}

func (k key) isSecret() bool { return k.field.Type() == reflect.TypeFor[Secret]() }

func (k key) isList() bool { return k.field.Type() == reflect.TypeFor[List]() }

// set parses text into the field. The error is a sentence about the text.
func (k key) set(text string) error {
	if u, ok := k.field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch k.field.Kind() {
	case reflect.String:
		k.field.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		if err != nil {
			return notInteger(text)
		}
		k.field.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("%q is not a number", text)
		}
		k.field.SetFloat(n)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		k.field.SetBool(b)
	default:
		panic("config: no way to set a " + k.field.Type().String())
	}
	return nil
}

type notInteger string

func (e notInteger) Error() string {
	return strconv.Quote(string(e)) + " is not a whole number"
}
