package jose

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Claims is a strictly read JSON object: names are case-sensitive, a duplicate name was refused.
type Claims struct{ m map[string]any }

// Has tells whether the member is there at all.
func (c Claims) Has(name string) bool { _, ok := c.m[name]; return ok }

// Len counts the members.
func (c Claims) Len() int { return len(c.m) }

func wrongType(name, want string) error { return fmt.Errorf("%q is not %s", name, want) }

// String returns a member that must be a JSON string; ok is false if absent; a wrong type is an error.
func (c Claims) String(name string) (value string, ok bool, err error) {
	v, ok := c.m[name]
	if !ok {
		return "", false, nil
	}
	s, isString := v.(string)
	if !isString {
		return "", true, wrongType(name, "a string")
	}
	return s, true, nil
}

// Strings returns a member that is a string or an array of strings.
func (c Claims) Strings(name string) (values []string, ok bool, err error) {
	switch v := c.m[name].(type) {
	case string:
		return []string{v}, true, nil
	case []any:
		values = make([]string, len(v))
		for i := range v {
			if values[i], ok = v[i].(string); !ok {
				return nil, true, wrongType(name, "a string or an array of strings")
			}
		}
		return values, true, nil
	}
	if !c.Has(name) {
		return nil, false, nil
	}
	return nil, true, wrongType(name, "a string or an array of strings")
}

const maxDate = 253402300799 // 9999-12-31T23:59:59Z, the last second time.Time formats with four digits

// Time returns a NumericDate (RFC 7519 §2): a plain integer or decimal, no exponent, within years 1970 to 9999.
func (c Claims) Time(name string) (t time.Time, ok bool, err error) {
	v, ok := c.m[name]
	if !ok {
		return time.Time{}, false, nil
	}
	number, isNumber := v.(json.Number)
	if !isNumber {
		return time.Time{}, true, wrongType(name, "a number of seconds")
	}
	whole, fraction, decimal := strings.Cut(string(number), ".")
	seconds, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || seconds > maxDate {
		return time.Time{}, true, wrongType(name, "a date between 1970 and 9999 in seconds")
	}
	if !decimal {
		return time.Unix(int64(seconds), 0), true, nil
	}
	nanos, err := strconv.ParseUint((fraction + "000000000")[:9], 10, 64)
	if err != nil || strings.ContainsAny(fraction, "eE") {
		return time.Time{}, true, wrongType(name, "a date without an exponent")
	}
	return time.Unix(int64(seconds), int64(nanos)), true, nil
}

// Seconds is Time for dates we write ourselves: an integer.
func (c Claims) Seconds(name string) (t time.Time, ok bool, err error) {
	if number, isNumber := c.m[name].(json.Number); isNumber && strings.Contains(string(number), ".") {
		return time.Time{}, true, wrongType(name, "an integer")
	}
	return c.Time(name)
}

// Bool returns a member that is a boolean, or the string "true" or "false" (Apple).
func (c Claims) Bool(name string) (value, ok bool, err error) {
	v, ok := c.m[name]
	if !ok {
		return false, false, nil
	}
	switch v {
	case true, "true":
		return true, true, nil
	case false, "false":
		return false, true, nil
	}
	return false, true, wrongType(name, "true or false")
}

// Object returns a member that is an object.
func (c Claims) Object(name string) (value Claims, ok bool, err error) {
	v, ok := c.m[name]
	if !ok {
		return Claims{}, false, nil
	}
	m, isObject := v.(map[string]any)
	if !isObject {
		return Claims{}, true, wrongType(name, "an object")
	}
	return Claims{m}, true, nil
}

// Objects returns a member that must be an array of objects.
func (c Claims) Objects(name string) (values []Claims, ok bool, err error) {
	v, ok := c.m[name]
	if !ok {
		return nil, false, nil
	}
	list, isArray := v.([]any)
	if !isArray {
		return nil, true, wrongType(name, "an array of objects")
	}
	for _, v := range list {
		m, isObject := v.(map[string]any)
		if !isObject {
			return nil, true, wrongType(name, "an array of objects")
		}
		values = append(values, Claims{m})
	}
	return values, true, nil
}

// Digits returns a member that must be a whole number, not below zero, as it is written: an identifier that is a number
// keeps every digit.
func (c Claims) Digits(name string) (value string, ok bool, err error) {
	v, ok := c.m[name]
	if !ok {
		return "", false, nil
	}
	number, isNumber := v.(json.Number)
	if !isNumber || strings.ContainsAny(string(number), "+-.eE") {
		return "", true, wrongType(name, "a whole number")
	}
	return string(number), true, nil
}

// Text returns a member as it would be written in a form: a string as it is, a number or a truth value as JSON. false: it
// is absent, or none of these.
func (c Claims) Text(name string) (value string, ok bool) {
	switch v := c.m[name].(type) {
	case string:
		return v, true
	case json.Number:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// JSON returns any member as JSON.
func (c Claims) JSON(name string) (value string, ok bool) {
	v, ok := c.m[name]
	if !ok {
		return "", false
	}
	written, err := json.Marshal(v)
	return string(written), err == nil
}

// ObjectsJSON returns a member that must be an array of objects, written anew: names in order, numbers as they were.
func (c Claims) ObjectsJSON(name string) (value json.RawMessage, ok bool, err error) {
	if _, ok, err = c.Objects(name); !ok || err != nil {
		return nil, ok, err
	}
	value, err = json.Marshal(c.m[name])
	return value, true, err
}
