package config

import (
	"maps"
	"reflect"
	"slices"
)

// Changed lists the keys by which the configurations differ; lists of sections, such as sources.exec, count as one key each.
func Changed(a, b *Config) []string {
	old, now := keysOf(a), keysOf(b)
	var keys []string
	for i, k := range old.all {
		if !reflect.DeepEqual(k.field.Interface(), now.all[i].field.Interface()) {
			keys = append(keys, k.path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(old.lists)) {
		if !reflect.DeepEqual(old.lists[path].Interface(), now.lists[path].Interface()) {
			keys = append(keys, path)
		}
	}
	return keys
}

// With returns a copy of c that has the values of from for some keys.
func (c *Config) With(from *Config, keys []string) *Config {
	next := *c
	into, source := keysOf(&next), keysOf(from)
	for i, k := range into.all {
		if slices.Contains(keys, k.path) {
			k.field.Set(source.all[i].field)
		}
	}
	for path, list := range into.lists {
		if slices.Contains(keys, path) {
			list.Set(source.lists[path])
		}
	}
	return &next
}
