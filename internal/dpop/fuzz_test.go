package dpop

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzVerify: whatever is accepted names this method and this endpoint, has a jti of bounded size, a thumbprint, and
// a time until which it must be remembered that is bounded and not past. Well-formed claims are signed by the right
// key, so that the fuzzer gets past the signature; the tail breaks the form.
func FuzzVerify(f *testing.F) {
	n := nonces()
	f.Add(claims(""), "")
	f.Add(claims(`,"nonce":"`+n.Mint(now)+`"`), "")
	f.Add(claims(`,"nonce":"`+n.Mint(now.Add(-time.Hour))+`"`), "")
	f.Add(strings.Replace(claims(""), endpoint, "HTTPS://LOGIN.example:443/%74oken?x#y", 1), "")
	f.Add(claims(`,"jti":"b"`), "")
	f.Add("", "e30.e30.AA")
	f.Fuzz(func(t *testing.T, payload, tail string) {
		raw := tail
		if json.Valid([]byte(payload)) {
			raw = proof(t, payload) + tail
		}
		p, err := (&Verifier{Nonces: n}).Verify(t.Context(), request(raw))
		if err != nil {
			if p != nil || errors.Is(err, ErrInvalid) == errors.Is(err, ErrUseNonce) {
				t.Fatalf("refused with %v, %+v", err, p)
			}
			return
		}
		var got struct{ HTM, HTU string }
		if err := json.Unmarshal([]byte(payload), &got); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(got.HTU)
		if err != nil || got.HTM != "POST" || !strings.EqualFold(u.Hostname(), "login.example") || !strings.EqualFold(u.Scheme, "https") {
			t.Fatalf("%q %q is taken for this endpoint", got.HTM, got.HTU)
		}
		if len(p.JKT) != 43 || p.JTI == "" || len(p.JTI) > maxJTIBytes {
			t.Fatalf("%+v", p)
		}
		if p.ExpiresAt.Before(now) || p.ExpiresAt.After(now.Add(maxMemory)) {
			t.Fatalf("acceptable until %v", p.ExpiresAt)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	b.ReportAllocs()
	p, err := NewProver()
	if err != nil {
		b.Fatal(err)
	}
	v := &Verifier{Nonces: nonces()}
	raw, err := p.Proof("POST", endpoint, v.Nonces.Mint(now), "", now)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Verify(b.Context(), request(raw)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReplayFirst(b *testing.B) {
	r := NewReplay(1 << 20)
	at := now
	for b.Loop() {
		at = at.Add(time.Millisecond)
		_ = r.First(replayJKT, at.String(), at.Add(time.Minute), at)
	}
}
