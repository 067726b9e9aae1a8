package apikey

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
)

func TestTextHasOneForm(t *testing.T) {
	made := newToken(0x01020304)
	text := string(made.text())
	// What secret scanners are given.
	if !regexp.MustCompile(`^cs_sk_[0-9A-Za-z_-]{70}[0-9A-Za-z]{6}$`).MatchString(text) {
		t.Fatalf("%q", text)
	}
	if got, ok := parse(text); !ok || got != made {
		t.Fatalf("parse gives %v, %v; want %v", got, ok, made)
	}
	for i := range len(text) {
		for _, c := range []byte{'A', '_', '\n', text[i] ^ 1} {
			if bad := text[:i] + string(c) + text[i+1:]; bad != text {
				if _, ok := parse(bad); ok {
					t.Fatalf("accepted with %q at %d", c, i)
				}
			}
		}
	}
	for _, bad := range []string{"", text[:len(text)-1], text + "A", " " + text, strings.ToUpper(text), "cs_rt_" + text[6:]} {
		if _, ok := parse(bad); ok {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestLogsHideTheText(t *testing.T) {
	made := newToken(1)
	text := made.text()
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("made", "key", text)
	if strings.Contains(b.String(), string(text[10:])) {
		t.Fatal(b.String())
	}
}

// FuzzParse asserts that a key has one spelling: whatever is accepted is written back as it came.
func FuzzParse(f *testing.F) {
	good := newToken(7)
	f.Add(string(good.text()))
	f.Add("cs_sk_")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parse(text)
		if ok && string(got.text()) != text {
			t.Fatalf("%q is written as %q", text, got.text())
		}
	})
}

func TestCheckOfNameAndScopes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		key    string
		scopes []string
		want   error
	}{
		{"good", "todo backend", []string{AccountsRead, SessionsWrite}, nil},
		{"no name", "", []string{AccountsRead}, ErrName},
		{"a name of two lines", "a\nb", []string{AccountsRead}, ErrName},
		{"a name of 101 characters", strings.Repeat("a", 101), []string{AccountsRead}, ErrName},
		{"no scope", "a", nil, ErrScope},
		{"an unknown scope", "a", []string{"accounts.*"}, ErrScope},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := check(tt.key, tt.scopes); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
		})
	}
}
