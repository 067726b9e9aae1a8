package oauth

import (
	"net/url"
	"testing"
)

func TestAClientIsNamedInOneSegmentOfAPathAndInOneWay(t *testing.T) {
	for id, want := range map[string]string{
		"com.example.todo":                "com.example.todo",
		"~todo":                           "~todo",
		"~dG9kbw":                         "~dG9kbw", // base64url of what has no slash
		"https://app.example/client.json": "~aHR0cHM6Ly9hcHAuZXhhbXBsZS9jbGllbnQuanNvbg",
	} {
		segment := Segment(id)
		if segment != want || url.PathEscape(segment) != segment {
			t.Errorf("%s: %s", id, segment)
		}
		if back := FromSegment(segment); back != id {
			t.Errorf("%s came back as %s", id, back)
		}
	}
	for _, other := range []string{"~aHR0cHM6Ly9hcHAuZXhhbXBsZS9jbGllbnQuanNvbh", "~aHR0cHM6Ly9hcHAuZXhhbXBsZS9jbGllbnQuanNvbg==", "~aHR0cHM6Ly9\nhcHAuZXhhbXBsZS9jbGllbnQuanNvbg", "~_y_", "~"} {
		if id := FromSegment(other); id != other {
			t.Errorf("%q is a second name of %q", other, id)
		}
	}
}
