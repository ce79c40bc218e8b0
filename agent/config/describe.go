package config

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// Key describes a key, or a section of keys, for people and for editors.
type Key struct {
	Path        string   // such as "queue.max_bytes"; "sources.exec[].name" in the elements of a list
	Section     bool     // it has keys of its own
	List        bool     // it has elements with keys of their own
	Type        Type     // of a key with a value
	Default     string   // as it is written in a file; "" also where there is none
	Allowed     []string // the only values; nil: others are possible
	Least, Most string   // bounds of a number, a size or a duration; "" where it has none
	Description string
}

// Type is what a value is read as.
type Type string

// The types of values.
const (
	TypeText     Type = "text"
	TypeInteger  Type = "whole number"
	TypeNumber   Type = "number"
	TypeBool     Type = "true or false"
	TypeSize     Type = "size"
	TypeDuration Type = "duration"
	TypeAuto     Type = "duration or auto"
	TypeList     Type = "one or a list"
	TypeArgs     Type = "command"
	TypeSecret   Type = "secret"
)

// Keys returns all keys in the order of the file. What it tells comes from where it counts: names and types from
// [Config], defaults from [Default], bounds and choices from the checks, descriptions from the file that [Init] returns.
func Keys() []Key {
	sample := Default()
	table := keysOf(sample)
	table.expand()
	described, common := comments(string(example), func(path string) bool {
		_, ok := table.lists[strings.ReplaceAll(path, "[]", "[0]")]
		return ok
	})
	var keys []Key
	var add func(section string)
	add = func(section string) {
		for _, name := range table.children[section] {
			path := join(section, name)
			shown := strings.ReplaceAll(path, "[0]", "[]")
			key := Key{Path: shown, Description: described[shown]}
			if key.Description == "" && strings.Contains(shown, "[]") {
				key.Description = common[name]
			}
			if key.Description == "" && strings.Contains(shown, "[]") { // the first list that has it says it
				key.Description = elsewhere(described, name)
			}
			k, hasValue := table.byPath[path]
			_, key.List = table.lists[path]
			key.Section = !hasValue && !key.List
			if hasValue {
				k.describe(sample, &key)
			}
			keys = append(keys, key)
			if key.List {
				path += "[0]"
			}
			add(path)
		}
	}
	add("")
	return keys
}

// elsewhere finds what is said of a key of this name in a list.
func elsewhere(described map[string]string, name string) string {
	for _, path := range slices.Sorted(maps.Keys(described)) {
		if strings.HasSuffix(path, "[]."+name) && described[path] != "" {
			return described[path]
		}
	}
	return ""
}

// expand puts one element with its defaults into every list, so that its keys are known.
func (t *keyTable) expand() {
	done := make(map[string]bool)
	for len(done) < len(t.lists) {
		for path, list := range t.lists {
			if done[path] {
				continue
			}
			done[path] = true
			list.Set(reflect.MakeSlice(list.Type(), 1, 1))
			if d, ok := list.Index(0).Addr().Interface().(interface{ setDefaults() }); ok {
				d.setDefaults()
			}
			t.add(path+"[0]", list.Index(0))
		}
	}
}

// describe fills in what is known of the value. For choices and bounds it puts in a value that can't be and listens to
// what the checks of the configuration say.
func (k key) describe(c *Config, to *Key) {
	to.Type = typeOf(k.field)
	if k.isSecret() && to.Description == "" {
		to.Description = "the secret as ${NAME}; better in the file that " + k.path[strings.LastIndexByte(k.path, '.')+1:] + "_file names"
	}
	kept := reflect.New(k.field.Type()).Elem()
	kept.Set(k.field)
	to.Default = written(k.field)
	if k.field.Kind() == reflect.Int && k.field.Int() == qosOfBroker {
		to.Default = ""
	}
	switch {
	case to.Type == TypeText:
		k.field.SetString("?")
	case k.field.Kind() == reflect.Int:
		k.field.SetInt(math.MinInt32)
	case k.field.CanInt():
		k.field.SetInt(math.MinInt64)
	}
	for _, p := range c.problems() {
		if p.Key == k.path && p.limits != nil {
			to.Allowed, to.Least, to.Most = p.limits.allowed, p.limits.least, p.limits.most
		}
	}
	k.field.Set(kept)
}

// limits is what a check would have taken.
type limits struct {
	allowed     []string
	least, most string
}

func typeOf(v reflect.Value) Type {
	switch v.Interface().(type) {
	case Size:
		return TypeSize
	case Duration:
		return TypeDuration
	case Auto:
		return TypeAuto
	case List:
		return TypeList
	case Args:
		return TypeArgs
	case Secret:
		return TypeSecret
	}
	switch v.Kind() {
	case reflect.Bool:
		return TypeBool
	case reflect.Int:
		return TypeInteger
	case reflect.Float64:
		return TypeNumber
	}
	return TypeText
}

// written is a value as it stands in a file.
func written(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = v.Index(i).String()
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v.Interface())
}
