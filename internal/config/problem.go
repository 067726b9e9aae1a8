package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration, where it stands, and what to do about it.
type Problem struct {
	File   string // empty: the environment, or a Config that came from no file
	Line   int    // zero: it concerns no line, for instance because something is missing
	Where  string // the key ("clients[0].scopes") or the variable ("COUNTERSIGN_ISSUER")
	Text   string // what is wrong
	Remedy string // what to do
}

func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Where != "" {
		fmt.Fprintf(&b, "%s: ", p.Where)
	}
	b.WriteString(p.Text)
	if p.Remedy != "" {
		b.WriteString("\n    -> " + p.Remedy)
	}
	return b.String()
}

// Problems is the error of Load and Validate: all that is wrong, in the order of the file.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// add notes a problem at the key; where that stands is looked up in the source.
func (ps *Problems) add(s source, where, text, remedy string) {
	p := Problem{File: s.file, Line: s.line(where), Where: where, Text: text, Remedy: remedy}
	if name, ok := s.variables[where]; ok {
		p.File, p.Line, p.Where = "", 0, name
	}
	*ps = append(*ps, p)
}

// asError sorts by line and returns nil for none; a typed nil slice in an error would not be nil.
func (ps Problems) asError() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return ps
}

// source says where each key came from: the line in the file, or the environment variable that overrides it.
type source struct {
	file      string
	lines     map[string]int
	variables map[string]string
}

// line returns the line of the key, or of the nearest thing around it, so that a missing key points at its entry.
func (s source) line(where string) int {
	for where != "" {
		if n, ok := s.lines[where]; ok {
			return n
		}
		cut := strings.LastIndexAny(where, ".[")
		if cut < 0 {
			return 0
		}
		where = where[:cut]
	}
	return 0
}
