package config

import (
	_ "embed"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

//go:embed fieldpost.yaml
var example []byte

// Init returns a commented configuration to start from. It is valid as it is.
func Init() []byte { return slices.Clone(example) }

// Show returns the configuration that is in effect, defaults and overrides
// included, as YAML. A secret that came from a file is left out beside the
// file's name; any other is masked.
func (c *Config) Show() []byte {
	shown := *c
	for _, s := range secretsOf(&shown) {
		if *s.file != "" {
			*s.value = ""
		}
	}
	var b strings.Builder
	showSection(&b, "", reflect.ValueOf(shown))
	return []byte(b.String())
}

// showSection writes the keys of a section. This is all the YAML that is ever
// written; an encoder for all of YAML makes the binary a quarter of a megabyte
// larger.
func showSection(b *strings.Builder, indent string, v reflect.Value) {
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		f := v.Field(i)
		switch {
		case option == "inline":
			showSection(b, indent, f)
		case option == "omitempty" && (f.IsZero() || f.Kind() == reflect.Slice && f.Len() == 0):
		case f.Kind() == reflect.Struct:
			b.WriteString(indent + name + ":\n")
			showSection(b, indent+"  ", f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			showElements(b, indent, name, f)
		default:
			b.WriteString(indent + name + ": " + showValue(f) + "\n")
		}
	}
}

// showElements writes a list of sections: the first key of each stands behind
// the dash.
func showElements(b *strings.Builder, indent, name string, list reflect.Value) {
	if list.Len() == 0 {
		b.WriteString(indent + name + ": []\n")
		return
	}
	b.WriteString(indent + name + ":\n")
	for i := range list.Len() {
		var element strings.Builder
		showSection(&element, indent+"  ", list.Index(i))
		b.WriteString(indent + "- " + strings.TrimPrefix(element.String(), indent+"  "))
	}
}

func showValue(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic("config: " + err.Error()) // none of its types fails
		}
		return showText(string(text))
	}
	switch v.Kind() {
	case reflect.String:
		return showText(v.String())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = showText(v.Index(i).String())
		}
		if _, isList := v.Interface().(List); isList && len(parts) == 1 {
			return parts[0]
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

// plainText is what means itself in YAML, with quotes or without, also in a
// list: nothing else begins with a letter or a slash and has these only.
var plainText = regexp.MustCompile(`^([A-Za-z/][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*|[0-9]+[a-zA-Z][A-Za-z0-9]*|[0-9]+(\.[0-9]+){3}:[0-9]+)$`)

// yamlWords are the plain texts that stand for something else.
var yamlWords = regexp.MustCompile(`(?i)^(null|true|false|yes|no|on|off|y|n|0x[0-9a-f]+|0o[0-7]+|0b[01]+|[0-9]+e[0-9]+)$`)

func showText(s string) string {
	if plainText.MatchString(s) && !yamlWords.MatchString(s) {
		return s
	}
	var quoted strings.Builder
	enc := json.NewEncoder(&quoted) // JSON's texts are YAML's between double quotes
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("config: " + err.Error()) // a string can't fail
	}
	return strings.TrimSuffix(quoted.String(), "\n")
}
