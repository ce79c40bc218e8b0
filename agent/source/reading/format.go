package reading

import (
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Formats lists how a line of text can be taken apart.
func Formats() []string { return []string{"line", "regex", "csv", "json", "influx"} }

// Format describes lines of text.
type Format struct {
	Kind      string   // one of Formats; "": "line"
	Pattern   string   // regex: a regular expression with a named group for each value, (?P<temp>…)
	Columns   []string // csv: the names of the columns; "-" for one that isn't wanted
	Separator string   // csv: one character; "": a comma
	Fields    []string // json: the members that are wanted, "a.b" for one inside of another; none: all
	Precision string   // influx: of its times, one of Precisions; "": ns
}

// A Parser takes lines apart. It may be used concurrently.
type Parser func(line []byte) (Set, error)

// NewParser returns the parser of a format, or says what is wrong with the
// format.
func NewParser(f Format) (Parser, error) {
	parse, err := f.parser()
	if err != nil {
		return nil, err
	}
	return func(line []byte) (Set, error) {
		if !isReadable(line) {
			return Set{}, errors.New("reading: the line is not text (is the baud rate right?)")
		}
		set, err := parse(string(line))
		if err == nil && len(set.Fields) == 0 {
			err = errors.New("reading: the line has no value")
		}
		return set, err
	}, nil
}

func (f Format) parser() (func(string) (Set, error), error) {
	switch f.Kind {
	case "", "line":
		return func(line string) (Set, error) {
			return Set{Fields: []Field{{Value: Text(strings.TrimSpace(line))}}}, nil
		}, nil
	case "regex":
		return f.regex()
	case "csv":
		return f.csv()
	case "json":
		return func(line string) (Set, error) { return parseJSON(line, f.Fields) }, nil
	case "influx":
		unit, err := precision(f.Precision)
		return func(line string) (Set, error) { return parseInflux(line, unit) }, err
	}
	return nil, fmt.Errorf("reading: format %q is not one of %s", f.Kind, strings.Join(Formats(), ", "))
}

func (f Format) regex() (func(string) (Set, error), error) {
	re, err := regexp.Compile(f.Pattern)
	if err != nil {
		return nil, fmt.Errorf("reading: the pattern is no regular expression: %w", err)
	}
	names := re.SubexpNames()
	var found []string
	for _, name := range names[1:] {
		if name != "" {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil, errors.New(`reading: the pattern names no value: write (?P<temp>[-0-9.]+) around each`)
	}
	if twice := duplicate(found); twice != "" {
		return nil, fmt.Errorf("reading: the pattern has two groups with the name %s", twice)
	}
	return func(line string) (Set, error) {
		match := re.FindStringSubmatchIndex(line)
		if match == nil {
			return Set{}, errors.New("reading: the line doesn't match the pattern")
		}
		var set Set
		for i, name := range names {
			if from := match[2*i]; name != "" && from >= 0 { // a group that took part
				set.Fields = append(set.Fields, Field{name, Text(line[from:match[2*i+1]])})
			}
		}
		return set, nil
	}, nil
}

// skipped is the name of a column that isn't wanted.
const skipped = "-"

func (f Format) csv() (func(string) (Set, error), error) {
	separator := []rune(f.Separator)
	if len(separator) == 0 {
		separator = []rune{','}
	}
	if len(separator) != 1 || strings.ContainsRune("\"\r\n\uFFFD", separator[0]) {
		return nil, fmt.Errorf("reading: the separator %q is not one character", f.Separator)
	}
	wanted := slices.DeleteFunc(slices.Clone(f.Columns), func(name string) bool { return name == skipped })
	if len(wanted) == 0 {
		return nil, errors.New("reading: csv needs the names of its columns, with - for those that aren't wanted")
	}
	if twice := duplicate(wanted); twice != "" {
		return nil, fmt.Errorf("reading: two columns have the name %s", twice)
	}
	return func(line string) (Set, error) {
		r := csv.NewReader(strings.NewReader(line))
		r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = separator[0], -1, !unicode.IsSpace(separator[0])
		row, err := r.Read()
		if err != nil {
			return Set{}, fmt.Errorf("reading: the line is no row of a table: %v", err)
		}
		if len(row) != len(f.Columns) {
			return Set{}, fmt.Errorf("reading: the line has %d columns, not %d", len(row), len(f.Columns))
		}
		var set Set
		for i, name := range f.Columns {
			if text := strings.TrimSpace(row[i]); name != skipped && text != "" {
				set.Fields = append(set.Fields, Field{name, Text(text)})
			}
		}
		return set, nil
	}, nil
}

func duplicate(names []string) string {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return name
		}
	}
	return ""
}
