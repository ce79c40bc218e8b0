package config_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/config"
)

var update = flag.Bool("update", false, "write the keys into docs/configure.md")

// reference is the part of docs/configure.md that is made from the keys: a table for each section.
func reference() string {
	var b strings.Builder
	table := ""
	for _, k := range config.Keys() {
		if k.Section || k.List {
			continue
		}
		section, name := "", k.Path
		if i := strings.LastIndexByte(k.Path, '.'); i >= 0 {
			section, name = k.Path[:i], k.Path[i+1:]
		}
		if table != section || b.Len() == 0 {
			heading(&b, section)
			table = section
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, code(k.Default), escape(sentence(k)))
	}
	return b.String()
}

func heading(b *strings.Builder, section string) {
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	title := "### The device\n"
	if section != "" {
		title = fmt.Sprintf("### `%s`\n", section)
	}
	b.WriteString(title)
	for _, k := range config.Keys() {
		if k.Path == strings.TrimSuffix(section, "[]") && (k.Section || k.List) {
			text := strings.ToUpper(k.Description[:1]) + strings.TrimSuffix(k.Description[1:], ".") + "."
			if k.List {
				text += " A list: each element has these keys."
			}
			fmt.Fprintf(b, "\n%s\n", escape(text))
		}
	}
	b.WriteString("\n| key | default | what |\n|---|---|---|\n")
}

// sentence is what there is to say of a key, with the bounds that the comment may not name.
func sentence(k config.Key) string {
	text := k.Description
	if k.Least != "" {
		text += fmt.Sprintf(" (%s to %s)", k.Least, k.Most)
	}
	for _, choice := range k.Allowed {
		if !strings.Contains(text, choice) {
			return text + "; one of " + strings.Join(k.Allowed, ", ")
		}
	}
	return text
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(s)
}

// TestReferenceIsCurrent: go test ./agent/config -run Reference -update writes it anew.
func TestReferenceIsCurrent(t *testing.T) {
	const file, mark = "../../docs/configure.md", "## All keys\n\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, got, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s lacks the heading %q", file, strings.TrimSpace(mark))
	}
	want := reference()
	if *update {
		if err := os.WriteFile(file, []byte(head+mark+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what the keys are: run go test ./agent/config -run Reference -update\nwant (-), got (+):\n%s", file, diff)
	}
}
