package httpd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/oauth"
)

// maxDepth bounds the nesting of a JSON body.
const maxDepth = 32

// DecodeJSON reads a JSON object strictly into v: unknown and duplicate fields, names in another case, trailing data and
// over 32 levels are refused; an empty body leaves v alone if optional. The error is an *oauth.Error, or a
// *StatusError for another media type or a body over the cap.
func DecodeJSON(r *http.Request, v any, optional bool) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		if optional {
			return nil
		}
		return oauth.E(oauth.InvalidRequest, "A JSON body is missing.")
	}
	if !mediaType(r, "application/json") {
		return refuse(http.StatusUnsupportedMediaType, "Send the body as application/json and say so in Content-Type.")
	}
	if !utf8.Valid(body) {
		return oauth.E(oauth.InvalidRequest, "The body is not valid UTF-8.")
	}
	if err := checkJSON(body, reflect.TypeOf(v)); err != nil {
		return err
	}
	if bytes.TrimSpace(body)[0] != '{' { // every body of ours is one; null would pass for an empty one
		return oauth.E(oauth.InvalidRequest, "The body must be a JSON object.")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return wrongType(err)
	}
	return nil
}

// JSONBody returns a body that says it is JSON, for who reads it strictly itself.
func JSONBody(r *http.Request) ([]byte, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if !mediaType(r, "application/json") {
		return nil, refuse(http.StatusUnsupportedMediaType, "Send the body as application/json and say so in Content-Type.")
	}
	return body, nil
}

func wrongType(err error) error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return oauth.E(oauth.InvalidRequest, "The field "+quotable(mismatch.Field)+" has the wrong JSON type.").Because(err)
	}
	return oauth.E(oauth.InvalidRequest, "A field of the body has a value we cannot read.").Because(err)
}

// checkJSON walks the document beside the type it is meant for. encoding/json alone would take the last of two equal
// names and match names in any case.
func checkJSON(body []byte, t reflect.Type) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := walkValue(d, t, 0); err != nil {
		return notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return oauth.E(oauth.InvalidRequest, "Something follows the JSON document.")
	}
	return nil
}

func notJSON(err error) error {
	var refused *oauth.Error
	if errors.As(err, &refused) {
		return err
	}
	return oauth.E(oauth.InvalidRequest, "The body is not a JSON document.").Because(err)
}

// walkValue reads one value. A nil type takes anything without duplicates.
func walkValue(d *json.Decoder, t reflect.Type, depth int) error {
	if depth > maxDepth {
		return oauth.E(oauth.InvalidRequest, "The JSON document is nested too deeply.")
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return walkObject(d, structure(t), depth)
	case json.Delim('['):
		return walkArray(d, structure(t), depth)
	}
	return nil
}

func walkObject(d *json.Decoder, t reflect.Type, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return oauth.E(oauth.InvalidRequest, "The field "+quotable(name)+" came twice.")
		}
		seen[name] = true
		member, known := memberType(t, name)
		if !known {
			return oauth.E(oauth.InvalidRequest, "The field "+quotable(name)+" is not known here.")
		}
		if err := walkValue(d, member, depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func walkArray(d *json.Decoder, t reflect.Type, depth int) error {
	var element reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		element = t.Elem()
	}
	for d.More() {
		if err := walkValue(d, element, depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// structure looks through pointers; types that read their own JSON are not looked into.
func structure(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	return t
}

// memberType finds the type of a member by its exact name. For types that are no object at all anything is known:
// json.Unmarshal has the better error for them.
func memberType(t reflect.Type, name string) (member reflect.Type, known bool) {
	switch {
	case t == nil:
		return nil, true
	case t.Kind() == reflect.Map:
		return t.Elem(), true
	case t.Kind() != reflect.Struct:
		return nil, true
	}
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name && tag != "" && tag != "-" {
			return f.Type, true
		}
	}
	return nil, false
}
