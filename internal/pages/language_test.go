package pages

import "testing"

// A language is read when somebody first wants it; that it can be is known before.
func TestEveryLanguageHasEveryPage(t *testing.T) {
	l, err := NewLook("")
	if err != nil {
		t.Fatal(err)
	}
	for tag := range l.locales {
		if set, err := l.pages[tag](); err != nil || len(set) != len(everyPage) {
			t.Errorf("%s: %d pages (%v)", tag, len(set), err)
		}
	}
}
