package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// list reads a list whose elements are sections. Each begins with the defaults
// of its type.
func (l *loader) list(keys *keyTable, path string, field reflect.Value, node ast.Node) {
	if node.Type() == ast.NullType { // a heading with all of its elements commented out
		return
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		l.reportNode(node, Problem{Key: path, Message: "is a list, not " + kind(node), Hint: "begin each of its elements with a dash: - name: tank"})
		return
	}
	if len(sequence.Values) == 0 {
		return
	}
	field.Set(reflect.MakeSlice(field.Type(), len(sequence.Values), len(sequence.Values)))
	for i, element := range sequence.Values {
		section := fmt.Sprintf("%s[%d]", path, i)
		if d, ok := field.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		keys.add(section, field.Index(i))
		at := element.GetToken().Position
		if mapping, ok := element.(ast.MapNode); ok { // its own token is a colon
			if it := mapping.MapRange(); it.Next() {
				at = it.KeyValue().Key.GetToken().Position
			}
		}
		l.places[section] = place{line: at.Line, column: at.Column}
		l.section(keys, section, element)
	}
}

// Args is a program and its arguments: a list, or one line that is split at its
// blanks.
type Args []string

// UnmarshalText splits a line at its blanks.
func (a *Args) UnmarshalText(text []byte) error {
	*a = strings.Fields(string(text))
	return nil
}

func (k key) isArgs() bool { return k.field.Type() == reflect.TypeFor[Args]() }

// args reads the elements one by one: they may contain commas and blanks.
func (l *loader) args(k key, sequence *ast.SequenceNode) error {
	var args Args
	for _, element := range sequence.Values {
		if _, nested := element.(*ast.SequenceNode); nested {
			return fmt.Errorf("is a list of values, not of lists")
		}
		text, _, err := l.text(k, element)
		if err != nil {
			return err
		}
		args = append(args, text)
	}
	k.field.Set(reflect.ValueOf(args))
	return nil
}
