package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder reads YAML into a Config strictly and remembers the line of every key, so that all problems can be told
// at once and with their place. The library's own decoder stops at types it does not know and has no lines for
// keys it does.
type decoder struct {
	src      source
	problems Problems
}

func (d *decoder) add(where, text, remedy string) { d.problems.add(d.src, where, text, remedy) }

// decode reads the one document of data into c. It is false where that is so far from a configuration that nothing
// more can be said about it.
func (d *decoder) decode(data []byte, c *Config) bool {
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := stream.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return true // empty: Validate says what is missing
	}
	if err != nil {
		d.syntax(err)
		return false
	}
	if err := stream.Decode(&more); !errors.Is(err, io.EOF) {
		d.at(&more, "", "a second document follows", `remove the line "---" and all after it: the configuration is one document`)
		return false
	}
	d.mapping(doc.Content[0], "", reflect.ValueOf(c).Elem())
	return follow(doc.Content[0]).Kind == yaml.MappingNode
}

// syntax tells about text that is no YAML. The library puts the line into its sentence only.
func (d *decoder) syntax(err error) {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	d.problems = append(d.problems, Problem{
		File: d.src.file, Line: line, Text: "this is not YAML: " + text,
		Remedy: "indent with spaces, and put text with a colon or a # in it in quotes",
	})
}

// mapping reads a YAML mapping into a struct.
func (d *decoder) mapping(n *yaml.Node, where string, into reflect.Value) {
	if n = follow(n); n.Kind != yaml.MappingNode {
		d.at(n, where, "here belong keys with values, not "+describe(n), "the keys are: "+strings.Join(keys(into.Type()), ", "))
		return
	}
	fields := fieldsByKey(into.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := join(where, key.Value)
		if first, dup := seen[key.Value]; dup {
			d.at(key, path, fmt.Sprintf("the key stands twice, first on line %d", first), "keep one of the two")
			continue
		}
		seen[key.Value] = key.Line
		index, known := fields[key.Value]
		if !known {
			d.at(key, path, "there is no such key", unknownKeyRemedy(key.Value, keys(into.Type())))
			continue
		}
		d.src.lines[path] = key.Line
		d.value(value, path, into.Field(index))
	}
}

// at notes a problem at a node whose line is not in the table.
func (d *decoder) at(n *yaml.Node, where, text, remedy string) {
	d.problems = append(d.problems, Problem{File: d.src.file, Line: n.Line, Where: where, Text: text, Remedy: remedy})
}

func unknownKeyRemedy(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known here: " + strings.Join(known, ", ")
}

// value reads one node into a field of one of the types a Config is made of.
func (d *decoder) value(n *yaml.Node, where string, into reflect.Value) {
	n = follow(n)
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		d.add(where, "the key has no value", "give it one, or remove the line")
		return
	}
	switch {
	case into.Type() == reflect.TypeFor[time.Time]():
		d.time(n, where, into)
	case into.Kind() == reflect.Struct:
		d.mapping(n, where, into)
	case into.Kind() == reflect.Slice:
		d.sequence(n, where, into)
	default:
		d.scalar(n, where, into)
	}
}

// sequence reads a YAML list into a slice.
func (d *decoder) sequence(n *yaml.Node, where string, into reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(where, "here belongs a list, not "+describe(n), "write it in brackets, [a, b], or as lines that start with a dash")
		return
	}
	list := reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		path := fmt.Sprintf("%s[%d]", where, i)
		d.src.lines[path] = item.Line
		d.value(item, path, list.Index(i))
	}
	into.Set(list)
}

// scalar reads a single value. Text is taken as it is written, so that an id of digits stays what it is.
func (d *decoder) scalar(n *yaml.Node, where string, into reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.add(where, "here belongs a single value, not "+describe(n), "write one value after the colon")
		return
	}
	if into.Type() == reflect.TypeFor[time.Duration]() {
		d.duration(n, where, into)
		return
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(n.Value)
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			d.add(where, fmt.Sprintf("%q is not a whole number", n.Value), "write digits, for example 16")
			return
		}
		into.SetInt(int64(i))
	case reflect.Bool:
		if n.Value != "true" && n.Value != "false" {
			d.add(where, fmt.Sprintf("%q is neither true nor false", n.Value), "write true or false")
			return
		}
		into.SetBool(n.Value == "true")
	}
}

func (d *decoder) duration(n *yaml.Node, where string, into reflect.Value) {
	t, err := parseDuration(n.Value)
	if err != nil {
		d.add(where, fmt.Sprintf("%q is not a length of time", n.Value), "write a number with its unit: 30s, 10m, 24h, 90d")
		delete(d.src.lines, where) // not there, as far as Validate is concerned: one sentence is enough
		return
	}
	into.SetInt(int64(t))
}

func (d *decoder) time(n *yaml.Node, where string, into reflect.Value) {
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		d.add(where, describe(n)+" is not a moment", "write date, time and zone: 2026-12-01T00:00:00Z")
		return
	}
	into.Set(reflect.ValueOf(t))
}

// follow resolves a YAML alias; the struct's shape bounds how deep that can go.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("the single value %q", n.Value)
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}

// fieldsByKey maps the YAML keys of a struct type to its fields.
func fieldsByKey(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" && key != "-" {
			fields[key] = i
		}
	}
	return fields
}

// keys lists the YAML keys of a struct type in the order of the struct.
func keys(t reflect.Type) []string {
	var list []string
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" && key != "-" {
			list = append(list, key)
		}
	}
	return list
}
