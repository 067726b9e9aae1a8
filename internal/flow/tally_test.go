package flow

import "testing"

func TestSpellingsOfOneMailboxAreCountedTogether(t *testing.T) {
	for address, want := range map[string]string{
		"alice@example.com": "alice@example.com", "ALICE@Example.com": "alice@example.com", "alice+a+b@example.com": "alice@example.com",
		"a.l.i.c.e+x@gmail.com": "alice@gmail.com", "Alice@googlemail.com": "alice@gmail.com", "a.lice@example.com": "a.lice@example.com",
		"a.lice@gmail.com.example": "a.lice@gmail.com.example", "+x@example.com": "@example.com",
	} {
		if got := mailbox(address); got != want {
			t.Errorf("%s: %s, not %s", address, got, want)
		}
	}
}
