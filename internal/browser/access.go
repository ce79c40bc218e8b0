package browser

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Node is what a screen reader is told of one thing on the page.
type Node struct {
	Role, Name string
	Level      int // of a heading
}

// Nodes lists what a screen reader is told, in reading order.
func (p *Page) Nodes() []Node {
	p.browser.t.Helper()
	type value struct {
		Value any `json:"value"`
	}
	var tree struct {
		Nodes []struct {
			ID         string   `json:"nodeId"`
			Children   []string `json:"childIds"`
			Ignored    bool     `json:"ignored"`
			Role       value    `json:"role"`
			Name       value    `json:"name"`
			Properties []struct {
				Name  string `json:"name"`
				Value value  `json:"value"`
			} `json:"properties"`
		} `json:"nodes"`
	}
	p.call("Accessibility.getFullAXTree", nil, &tree)
	at := make(map[string]int)
	for i, n := range tree.Nodes {
		at[n.ID] = i
	}
	var out []Node
	var walk func(i int)
	walk = func(i int) {
		n := tree.Nodes[i]
		if !n.Ignored {
			node := Node{Role: fmt.Sprint(n.Role.Value)}
			node.Name, _ = n.Name.Value.(string)
			for _, property := range n.Properties {
				if level, ok := property.Value.Value.(float64); ok && property.Name == "level" {
					node.Level = int(level)
				}
			}
			out = append(out, node)
		}
		for _, child := range n.Children {
			if c, ok := at[child]; ok {
				walk(c)
			}
		}
	}
	if len(tree.Nodes) > 0 {
		walk(0)
	}
	return out
}

// named are the roles that mean nothing to a listener without a name.
var named = []string{"RootWebArea", "button", "link", "img", "image", "heading", "region", "table", "checkbox", "textbox", "combobox", "progressbar", "meter",
	"columnheader", "rowheader", "dialog", "alertdialog", "form", "figure", "Figure"}

// Faults are the ways in which a page fails those who listen to it: things without names, headings that skip a level,
// no main part or two of them.
func Faults(nodes []Node) (faults []string) {
	count := make(map[string]int)
	level := 0
	for _, n := range nodes {
		count[n.Role]++
		if slices.Contains(named, n.Role) && strings.TrimSpace(n.Name) == "" {
			faults = append(faults, "a "+n.Role+" without a name")
		}
		if n.Role != "heading" {
			continue
		}
		if n.Level == 1 {
			count["h1"]++
		}
		if n.Level > level+1 {
			faults = append(faults, fmt.Sprintf("the heading %q of level %d follows one of level %d", n.Name, n.Level, level))
		}
		level = n.Level
	}
	for _, role := range []string{"main", "h1"} {
		if count[role] != 1 {
			faults = append(faults, fmt.Sprintf("%d times %s, want one", count[role], role))
		}
	}
	return faults
}

// faint finds texts by the formulas of WCAG 2.2 (relative luminance, contrast ratio): 4.5 is asked for, 3 of large text. Texts
// on pictures it can't judge.
//
//go:embed faint.js
var faint string

// Faint lists the texts that show and whose contrast to what is behind them is below level AA.
func (p *Page) Faint() (list []string) {
	p.browser.t.Helper()
	p.Eval(faint, &list)
	return list
}
