package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Times are unix microseconds on both engines, and zero is no time.

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// when scans a time.
type when struct{ into *time.Time }

// Scan implements sql.Scanner.
func (w when) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", src)
	}
	*w.into = fromMicros(n)
	return nil
}

// span scans a duration.
type span struct{ into *time.Duration }

// Scan implements sql.Scanner.
func (s span) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a duration is stored as %T", src)
	}
	*s.into = time.Duration(n) * time.Microsecond
	return nil
}

// fixed scans an id or a hash into an array of its length; NULL is all zero.
type fixed struct{ into []byte }

// Scan implements sql.Scanner.
func (f fixed) Scan(src any) error {
	if src == nil {
		clear(f.into)
		return nil
	}
	raw, ok := src.([]byte)
	if !ok || len(raw) != len(f.into) {
		return fmt.Errorf("want %d bytes, stored are %d of %T", len(f.into), len(raw), src)
	}
	copy(f.into, raw)
	return nil
}

// words scans a list of words that hold no space: scopes, audiences, methods of authentication, names of claims.
type words struct{ into *[]string }

// Scan implements sql.Scanner.
func (w words) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a list is stored as %T", src)
	}
	*w.into = nil // an empty list reads as it was written
	if text != "" {
		*w.into = strings.Fields(text)
	}
	return nil
}

func joined(list []string) string { return strings.Join(list, " ") }

// orNull makes the id that names nothing NULL, as foreign keys and partial indexes want it.
func orNull(id [16]byte) driver.Value {
	if id == [16]byte{} {
		return nil
	}
	return id[:]
}

// hashOrNull does the same for the hash of nothing.
func hashOrNull(h [32]byte) driver.Value {
	if h == [32]byte{} {
		return nil
	}
	return h[:]
}

// document scans JSON of ours.
type document struct{ into any }

// Scan implements sql.Scanner.
func (d document) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a document is stored as %T", src)
	}
	return json.Unmarshal([]byte(text), d.into)
}

// orEmpty keeps absent bytes from becoming NULL.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
