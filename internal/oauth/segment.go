package oauth

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// A client whose id is the address of its document cannot be named in a path as it is: an escaped slash is a slash to many
// a proxy, and a path with two spellings is one too many. So "~" and base64url stand for an id with a slash in it.

// Segment is how a client is named in one segment of a path of ours.
func Segment(clientID string) string {
	if !strings.Contains(clientID, "/") {
		return clientID
	}
	return "~" + base64.RawURLEncoding.EncodeToString([]byte(clientID))
}

// FromSegment is the client a segment names. What is not the form of an id with a slash in it is an id as it stands.
func FromSegment(segment string) (clientID string) {
	text, ok := strings.CutPrefix(segment, "~")
	if !ok || strings.ContainsAny(text, "\r\n") { // the decoder passes over line breaks
		return segment
	}
	id, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || !utf8.Valid(id) || !strings.Contains(string(id), "/") {
		return segment
	}
	return string(id)
}
