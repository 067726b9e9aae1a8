package dpop

import (
	"strings"
	"testing"
	"time"
)

// rfc9449-8-02
func TestNonces(t *testing.T) {
	n := nonces()
	nonce := n.Mint(now)
	if again := n.Mint(now.Add(900 * time.Millisecond)); again != nonce {
		t.Error("nonces of one second differ")
	}
	for name, tc := range map[string]struct {
		nonce string
		at    time.Time
		want  NonceState
	}{
		"just minted":                 {nonce, now, NonceFresh},
		"five minutes old":            {nonce, now.Add(5 * time.Minute), NonceFresh},
		"a second older":              {nonce, now.Add(5*time.Minute + time.Second), NonceOld},
		"a year old":                  {nonce, now.Add(365 * 24 * time.Hour), NonceOld},
		"of a node whose clock leads": {nonce, now.Add(-time.Second), NonceFresh},
		"empty":                       {"", now, NonceForged},
		"cut":                         {nonce[:31], now, NonceForged},
		"longer":                      {nonce + "A", now, NonceForged},
		"with a line end":             {nonce[:31] + "\n", now, NonceForged},
		"standard base64":             {strings.Repeat("+", 32), now, NonceForged},
		"of an unknown key":           {"AAAACQ" + nonce[6:], now, NonceForged},
		"of a renamed key":            {"AAAAAQ" + nonce[6:], now, NonceForged},
		"zero":                        {strings.Repeat("A", 32), now, NonceForged},
	} {
		t.Run(name, func(t *testing.T) {
			if got := n.Check(tc.nonce, tc.at); got != tc.want {
				t.Errorf("state %d, want %d", got, tc.want)
			}
		})
	}
}

func TestNoNonceIsMintedWithoutAKey(t *testing.T) {
	n := &Nonces{Key: func(uint32) ([]byte, bool) { return nil, false }, Current: func() uint32 { return 0 }}
	if got := n.Mint(now); got != "" {
		t.Errorf("minted %q", got)
	}
}

// FuzzNoncesCheck: only what Mint wrote is ours. The one nonce of the fuzzed second is compared byte for byte.
func FuzzNoncesCheck(f *testing.F) {
	n := nonces()
	f.Add(n.Mint(now))
	f.Add(n.Mint(now.Add(-time.Hour)))
	f.Add("")
	f.Add(strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, nonce string) {
		state, until := n.judge(nonce, now)
		if state == NonceForged {
			return
		}
		minted := until.Add(-defaultNonceTTL)
		older := nonces()
		older.Current = func() uint32 { return 1 }
		if nonce != n.Mint(minted) && nonce != older.Mint(minted) {
			t.Fatalf("%q passes for a nonce of %v", nonce, minted)
		}
		if fresh := !now.After(until); fresh != (state == NonceFresh) {
			t.Fatalf("state %d, fresh until %v", state, until)
		}
	})
}
