package domain

import (
	"errors"
	"strings"
	"testing"
)

func TestAnIDReadsBackFromItsText(t *testing.T) {
	id := NewID[SessionID]()
	var back SessionID
	if err := back.UnmarshalText([]byte(id.String())); err != nil || back != id {
		t.Errorf("%v became %v, %v", id, back, err)
	}
	if !strings.HasPrefix(id.String(), "ses_") {
		t.Errorf("%v does not say what it names", id)
	}
}

func TestATextThatIsNoIDOfTheKindIsRefused(t *testing.T) {
	good := NewID[AccountID]().String()
	for name, text := range map[string]string{
		"another noun":        strings.Replace(good, "acc_", "ses_", 1),
		"no prefix":           good[4:],
		"cut":                 good[:len(good)-1],
		"extended":            good + "A",
		"a line break inside": good[:10] + "\n" + good[11:],
		"padding":             good[:len(good)-1] + "=",
		"foreign character":   good[:10] + "+" + good[11:],
		"unused bits set":     good[:len(good)-1] + "B",
	} {
		var id AccountID
		if err := id.UnmarshalText([]byte(text)); !errors.Is(err, ErrID) {
			t.Errorf("%s: %q was read as %v, %v", name, text, id, err)
		}
	}
}
