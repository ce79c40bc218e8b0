package config

import (
	"encoding/json"
	"strconv"
	"strings"
)

// What takes the place of a value: ${NAME}. The file's scalars are read as they are written, so a number or true may
// stand where a text is expected, and nothing at all behind a key leaves it as it is.
const (
	variablePattern = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`
	sizePattern     = `^ *[0-9]+ *(KiB|MiB|GiB|kB|KB|MB|GB|B)? *$|` + variablePattern
	durationPattern = `^ *([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+ *$|^ *0 *$|` + variablePattern
)

// schemaNode is a part of a JSON schema.
type schemaNode map[string]any

// Schema returns a JSON schema (draft 7, which editors know) of the configuration file. It takes every file that [Load]
// takes; what depends on several keys at once, only Load can tell. No key is required, for each can come from a variable.
func Schema() []byte {
	root := schemaNode{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "Configuration of the Fieldpost agent",
		"description": "Check a file with: fieldpost config check FILE",
	}
	object(root)
	nodes := map[string]schemaNode{"": root}
	for _, k := range Keys() {
		node := k.schema()
		nodes[k.Path] = node
		section, name := "", k.Path
		if i := strings.LastIndexByte(k.Path, '.'); i >= 0 {
			section, name = k.Path[:i], k.Path[i+1:]
		}
		if list, ok := strings.CutSuffix(section, "[]"); ok {
			nodes[list]["items"].(schemaNode)["properties"].(schemaNode)[name] = node
		} else {
			nodes[section]["properties"].(schemaNode)[name] = node
		}
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("config: the schema can't be written as JSON: " + err.Error()) // it is made of maps, lists and texts
	}
	return append(text, '\n')
}

// object makes a node of a section of keys.
func object(n schemaNode) schemaNode {
	n["type"], n["properties"], n["additionalProperties"] = []string{"object", "null"}, schemaNode{}, false
	return n
}

func (k Key) schema() schemaNode {
	n := schemaNode{}
	if k.Description != "" {
		n["description"] = k.Description
	}
	switch {
	case k.Section:
		return object(n)
	case k.List:
		n["type"], n["items"] = []string{"array", "null"}, object(schemaNode{})
		return n
	}
	k.value(n)
	if k.Default != "" {
		n["default"] = k.defaultValue()
	}
	return n
}

// value says which values the key takes.
func (k Key) value(n schemaNode) {
	reference := schemaNode{"type": "string", "pattern": variablePattern}
	scalar := []string{"string", "number", "boolean"}
	none := schemaNode{"type": "null"}
	one := func(what schemaNode) { n["anyOf"] = []schemaNode{what, reference, none} }
	switch k.Type {
	case TypeInteger, TypeNumber:
		number := schemaNode{"type": map[Type]string{TypeInteger: "integer", TypeNumber: "number"}[k.Type]}
		if least, err := strconv.Atoi(k.Least); err == nil {
			number["minimum"] = least
		}
		if most, err := strconv.Atoi(k.Most); err == nil {
			number["maximum"] = most
		}
		if len(k.Allowed) > 0 {
			delete(number, "type")
			number["enum"] = numbers(k.Allowed)
		}
		one(number)
	case TypeBool:
		one(schemaNode{"type": "boolean"})
	case TypeSize:
		n["type"], n["pattern"], n["minimum"] = []string{"string", "integer", "null"}, sizePattern, 0
	case TypeDuration:
		n["anyOf"] = []schemaNode{{"type": "string", "pattern": durationPattern}, {"const": 0}, none}
	case TypeAuto:
		n["anyOf"] = []schemaNode{{"const": auto}, {"type": "string", "pattern": durationPattern}, {"const": 0}, none}
	case TypeList, TypeArgs:
		n["anyOf"] = []schemaNode{{"type": scalar}, {"type": "array", "items": schemaNode{"type": scalar}}, none}
	case TypeSecret:
		n["anyOf"] = []schemaNode{reference, {"const": ""}, none}
	default:
		if k.Allowed == nil {
			n["type"] = append(scalar, "null")
			return
		}
		one(schemaNode{"enum": k.Allowed})
	}
}

func (k Key) defaultValue() any {
	switch k.Type {
	case TypeInteger, TypeNumber:
		if v, err := strconv.ParseFloat(k.Default, 64); err == nil {
			return v
		}
	case TypeBool:
		return k.Default == "true"
	}
	return k.Default
}

func numbers(texts []string) (list []int) {
	for _, t := range texts {
		if n, err := strconv.Atoi(t); err == nil {
			list = append(list, n)
		}
	}
	return list
}
