package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// section reads a mapping whose keys are those of one section.
func (l *loader) section(keys *keyTable, path string, node ast.Node) {
	mapping, ok := node.(ast.MapNode)
	switch {
	case node.Type() == ast.NullType: // a heading with all of its keys commented out
		return
	case !ok && path == "":
		l.reportNode(node, Problem{Message: "expected keys, such as \"device: pump-07\", not " + kind(node)})
		return
	case !ok:
		l.reportNode(node, Problem{Key: path, Message: "is a section, not " + kind(node),
			Hint: fmt.Sprintf("its keys are %s", strings.Join(keys.children[path], ", "))})
		return
	}
	for it := mapping.MapRange(); it.Next(); {
		l.entry(keys, path, it.KeyValue())
	}
}

// entry reads one "name: value".
func (l *loader) entry(keys *keyTable, section string, kv *ast.MappingValueNode) {
	name := kv.Key.GetToken().Value
	path := join(section, name)
	k, known := keys.byPath[path]
	list, isList := keys.lists[path]
	if !known && !isList && !keys.isSection(path) {
		l.reportNode(kv.Key, l.unknown(keys, section, name))
		return
	}
	at := kv.Key.GetToken().Position
	l.places[path] = place{line: at.Line, column: at.Column}
	switch {
	case isList:
		l.list(keys, path, list, kv.Value)
	case !known:
		l.section(keys, path, kv.Value)
	default:
		l.value(k, kv.Value)
	}
}

func (l *loader) unknown(keys *keyTable, section, name string) Problem {
	p := Problem{Message: fmt.Sprintf("unknown key %q", name)}
	if section != "" {
		p.Message += fmt.Sprintf(" in section %q", section)
	}
	siblings := keys.children[section]
	if near := nearest(name, siblings); near != "" {
		p.Hint = fmt.Sprintf("did you mean %q?", near)
	} else if path := keys.elsewhere(name); path != "" {
		p.Hint = fmt.Sprintf("did you mean %s? It stands in another section", path)
	} else {
		p.Hint = "known here: " + strings.Join(siblings, ", ")
	}
	return p
}

// value reads what stands after the colon of k.
func (l *loader) value(k key, node ast.Node) {
	if node.Type() == ast.NullType { // "apn:" with nothing after it
		return
	}
	at := node.GetToken().Position
	l.places[k.path] = place{line: at.Line, column: at.Column}
	if sequence, ok := node.(*ast.SequenceNode); ok && k.isArgs() {
		if err := l.args(k, sequence); err != nil {
			l.broken[k.path] = true
			l.reportNode(node, Problem{Key: k.path, Message: err.Error()})
		}
		return
	}
	text, literal, err := l.text(k, node)
	if err == nil && k.isSecret() && literal && text != "" {
		l.broken[k.path] = true
		l.reportNode(node, Problem{Key: k.path, Message: "a secret doesn't belong in this file",
			Hint: fmt.Sprintf("put it into a file of its own and name that in %s_file, or write ${NAME} and set the variable NAME", k.path)})
		return
	}
	if err == nil {
		err = k.set(text)
	}
	if err != nil {
		l.broken[k.path] = true
		l.reportNode(node, Problem{Key: k.path, Message: err.Error()})
	}
}

// text returns the scalar as it is written, so that 0123 stays a PIN with four
// digits, with ${NAME} replaced. It is literal if there was none. The elements
// of a list come joined as in a variable.
func (l *loader) text(k key, node ast.Node) (text string, literal bool, err error) {
	switch n := node.(type) {
	case *ast.SequenceNode:
		if !k.isList() {
			return "", false, fmt.Errorf("takes one value, not a list")
		}
		parts := make([]string, len(n.Values))
		for i, element := range n.Values {
			if _, nested := element.(*ast.SequenceNode); nested {
				return "", false, fmt.Errorf("is a list of values, not of lists")
			}
			if parts[i], _, err = l.text(k, element); err != nil {
				return "", false, fmt.Errorf("%w in element %d: put what has a colon, a blank or a brace in it between quotes", err, i+1)
			}
		}
		return strings.Join(parts, ","), true, nil
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = node.GetToken().Value
	default:
		var ok bool
		if text, ok = torn(node); !ok {
			return "", false, fmt.Errorf("takes a single value, not %s", kind(node))
		}
	}
	expanded, err := l.expand(text)
	return expanded, expanded == text, err
}

// torn joins what the parser took for a key and its value, although no blank follows the colon: for YAML that is one plain value, and so
// is the mqtt://a:1883 of {url: [mqtt://a:1883]}.
func torn(node ast.Node) (text string, ok bool) {
	mapping, ok := node.(ast.MapNode)
	if !ok {
		return "", false
	}
	for it := mapping.MapRange(); it.Next(); {
		kv := it.KeyValue()
		key, colon, value := kv.Key.GetToken(), kv.Start, kv.Value.GetToken()
		if _, scalar := kv.Value.(ast.ScalarNode); !scalar || text != "" || key.Type == token.DoubleQuoteType || key.Type == token.SingleQuoteType ||
			colon.Position.Line != value.Position.Line || colon.Position.Column+1 != value.Position.Column {
			return "", false
		}
		text = key.Value + ":" + value.Value
	}
	return text, text != ""
}

// reference matches ${NAME}, and a ${ that is none so that it can be refused.
var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*\})?`)

func (l *loader) expand(text string) (string, error) {
	var err error
	expanded := reference.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(m, "${"), "}")
		value, ok := l.env[name]
		switch {
		case err != nil:
		case name == "":
			err = fmt.Errorf("${ without a name and }: write ${NAME} for the environment variable NAME")
		case !ok:
			err = fmt.Errorf("the environment variable %s is not set", name)
		}
		return value
	})
	return expanded, err
}

func (l *loader) reportNode(node ast.Node, p Problem) {
	at := node.GetToken().Position
	l.reportAt(at.Line, at.Column, p)
}

// kind names what a node is, for a person.
func kind(node ast.Node) string {
	switch node.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a section with keys"
	case ast.SequenceType:
		return "a list"
	case ast.AnchorType, ast.AliasType:
		return "an anchor (& and *), which is not supported here"
	case ast.TagType:
		return "a tag (!), which is not supported here"
	case ast.MergeKeyType:
		return "a merge key (<<), which is not supported here"
	}
	return "a single value"
}
