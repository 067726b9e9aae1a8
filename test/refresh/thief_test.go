package refresh_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// RT01, and RT17 with the server restarted in between: no memory but the database's finds the thief.
func TestRT01ATokenWhoseSuccessorWasUsedEndsTheSession(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name    string
			kind    func(*standin.PhoneConfig)
			between func()
		}{
			{"bound", bound, func() {}},
			{"bearer", bearer, func() {}},
			{"RT17 after a restart", bearer, func() { w.Restart(); w.admin = w.Admin() }},
		} {
			t.Run(tt.name, func(t *testing.T) {
				d := w.signedIn(t, tt.kind)
				newest := d.next(t, d.next(t, d.first))
				w.Clock.Step(11 * time.Second)
				tt.between()
				a := d.present(t, d.first)
				wantRefused(t, a, "invalid_grant")
				if !strings.Contains(a.Description, "used again") {
					t.Errorf("a developer cannot tell what happened: %q", a.Description)
				}
				d.refused(t, newest, "invalid_grant")
				d.wantEnded(t, "reuse")
				if !strings.Contains(w.Log.String(), `"security":"refresh.reuse"`) {
					t.Error("the log does not tell")
				}
			})
		}
	})
}

// RT01: whatever else a thief asks for, the replaced token is judged as one. A refused scope must not hide him.
func TestRT01AForeignScopeDoesNotHideATheft(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, more := range map[string][]string{
			"a scope that was not granted":    {"scope", "account.manage"},
			"a malformed scope":               {"scope", "todos.read  todos.read"},
			"a resource that was not granted": {"resource", "https://evil.example"},
			"two resources":                   {"resource", harness.Audience, "resource", harness.OtherAudience},
		} {
			t.Run(name, func(t *testing.T) {
				d := w.signedIn(t, bearer)
				newest := d.next(t, d.next(t, d.first))
				w.Clock.Step(11 * time.Second)
				a := w.Post("/token", form(harness.ClientID, d.first, more...))
				if a.Status != 400 || a.Error() != "invalid_grant" {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				d.refused(t, newest, "invalid_grant")
				d.wantEnded(t, "reuse")
			})
		}
	})
}

// RT07: a thief has a copy of the token and goes in step with the victim for sixty refreshes.
func TestRT07AThiefInStepIsFoundOut(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name   string
			kind   func(*standin.PhoneConfig)
			thief  time.Duration // after the victim
			within int           // foreign uses until the session is over
		}{
			{"bearer with a grace of 60 s, a minute and a half behind", browser, 90 * time.Second, 1},
			{"bearer with a grace of 60 s, half a minute behind", browser, 30 * time.Second, 3},
			{"bearer with a grace of 24 h, half a minute behind", bearer, 30 * time.Second, 3},
			{"bearer with a grace of 24 h, hours behind", bearer, 5 * time.Hour, 3},
		} {
			t.Run(tt.name, func(t *testing.T) {
				victim := w.signedIn(t, tt.kind)
				thief := victim.thief(tt.kind)
				his, hers := victim.first, victim.first
				uses, alive := 0, true
				for range 60 {
					if hers, alive = victim.tries(t, hers); !alive {
						break
					}
					w.Clock.Step(tt.thief)
					uses++
					if his, alive = thief.tries(t, his); !alive {
						break
					}
					w.Clock.Step(6 * time.Hour)
				}
				if alive || uses > tt.within {
					t.Fatalf("alive %v after %d foreign uses", alive, uses)
				}
				victim.refused(t, hers, "invalid_grant")
				thief.refused(t, his, "invalid_grant")
				victim.wantEnded(t, "reuse")
			})
		}
		t.Run("bound: he never starts", func(t *testing.T) {
			victim := w.signedIn(t, bound)
			without, with := victim.thief(bearer), victim.thief(bound)
			token := victim.first
			for i := range 60 {
				stolen := token
				token = victim.next(t, token)
				w.Clock.Step(time.Duration(i) * time.Minute)
				without.refused(t, stolen, "invalid_dpop_proof")
				with.refused(t, stolen, "invalid_grant")
				with.refused(t, token, "invalid_grant")
			}
			victim.wantCounter(t, 60)
		})
	})
}

// tries presents a token and returns the one to go on with, or that the session is over.
func (d *device) tries(t *testing.T, token string) (successor string, alive bool) {
	t.Helper()
	a := d.present(t, token)
	if a.Tokens == nil {
		wantRefused(t, a, "invalid_grant")
		return token, false
	}
	return a.Tokens.RefreshToken, true
}

// RT11: what a copied token of a bound session is worth.
func TestRT11ABoundTokenWithoutItsKeyYieldsAndChangesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		d := w.signedIn(t, bound)
		thief := d.thief(bound)
		proofs := func(proof string) *standin.Answer {
			a := w.Refresh(harness.ClientID, d.first, harness.Set("DPoP", proof))
			return &standin.Answer{Status: a.Status, Body: a.Body, Error: a.Error(), Description: a.Description()}
		}
		good, err := d.Proof("POST", w.Issuer+"/token", "", "")
		if err != nil {
			t.Fatal(err)
		}
		elsewhere, err := d.Proof("POST", w.Issuer+"/userinfo", "", "")
		if err != nil {
			t.Fatal(err)
		}
		wantRefused(t, d.thief(bearer).present(t, d.first), "invalid_dpop_proof")
		wantRefused(t, proofs("x"), "invalid_dpop_proof")
		wantRefused(t, proofs(elsewhere), "invalid_dpop_proof")
		wantRefused(t, proofs(good[:len(good)-8]+"AAAAAAAA"), "invalid_dpop_proof")
		wantRefused(t, thief.present(t, d.first), "invalid_grant")
		if !strings.Contains(w.Log.String(), `"security":"refresh.key_mismatch"`) {
			t.Error("another key is no event")
		}
		d.wantCounter(t, 0)
		d.next(t, d.next(t, d.first))
	})
}

// RT12: a thief tries to bind a bearer session to his key.
func TestRT12AProofNeverBindsABearerSession(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		d := w.signedIn(t, bearer)
		thief := d.thief(bound)
		got := thief.takes(t, d.first)
		if got.TokenType != "Bearer" || claim(t, got.AccessToken, "sub") == "" || strings.Contains(claimsText(t, got.AccessToken), "cnf") {
			t.Errorf("%+v", got)
		}
		if v := d.row(t); v.JKT != "" || v.Tier.String() != "bearer" {
			t.Errorf("tier %v, key %q", v.Tier, v.JKT)
		}
		d.again(t, d.first, got.RefreshToken)
		d.next(t, got.RefreshToken) // without a proof, as before
		a := w.Refresh(harness.ClientID, d.first, harness.Set("DPoP", "x"))
		if a.Status != 400 || a.Error() != "invalid_dpop_proof" { // a proof that came is verified
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func claimsText(t *testing.T, jwt string) string {
	t.Helper()
	claims, err := standin.Claims(jwt)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(claims)
}

// RT09: every way to damage a token, while the database answers nothing, not even about keys: what needs a query is
// 503, a forged token is refused without one.
func TestRT09ADamagedTokenIsRefusedWithoutAQuery(t *testing.T) { // rfc6749-10.4-02 rfc6749-10.10-01 rfc9700-4.14.2-04
	onEngines(t, func(t *testing.T, w *world) {
		d := w.signedIn(t, bearer)
		mend := w.Break("keys")
		w.Clock.Step(1500 * time.Millisecond) // what the node last read of its keys is no answer any more
		if a := d.present(t, d.first); a.Status != 503 {
			t.Fatalf("the database answers: %d %s", a.Status, a.Body)
		}
		for name, damaged := range damage(t, d.first) {
			if a := d.present(t, damaged); a.Status != 400 || a.Error != "invalid_grant" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		for name, young := range ofYoungKeys(t, d.first) {
			if a := d.present(t, young); a.Status != 503 || a.Error != "temporarily_unavailable" {
				t.Errorf("%s, which another node may have: %d %s", name, a.Status, a.Body)
			}
		}
		mend()
		for name, young := range ofYoungKeys(t, d.first) {
			w.Clock.Step(1500 * time.Millisecond)
			if a := d.present(t, young); a.Status != 400 || a.Error != "invalid_grant" {
				t.Errorf("%s, which no node has: %d %s", name, a.Status, a.Body)
			}
		}
		d.wantCounter(t, 0)
		d.next(t, d.first)
	})
}

// ofYoungKeys makes tokens whose key is named by a second so near that a node may have to look whether there is one.
func ofYoungKeys(t *testing.T, token string) map[string]string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token[len("cs_rt_") : len(token)-6])
	if err != nil {
		t.Fatal(err)
	}
	own := binary.BigEndian.Uint32(raw[1:])
	list := map[string]string{}
	for name, id := range map[string]uint32{
		"a key 30 s older": own - 30, "a key 30 s younger": own + 30, "a key with a bit changed": own ^ 16,
	} {
		other := append([]byte(nil), raw...)
		binary.BigEndian.PutUint32(other[1:], id)
		list[name] = withChecksum("cs_rt_" + base64.RawURLEncoding.EncodeToString(other))
	}
	return list
}

// damage makes tokens that are not ours of one that is: as a thief or a bad line would, and with the checksum, which
// anybody can compute, put right again.
func damage(t *testing.T, token string) map[string]string {
	t.Helper()
	const prefix, checked = len("cs_rt_"), 6
	body := token[prefix : len(token)-checked]
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{
		"cut":               token[:len(token)-1],
		"cut in half":       token[:len(token)/2],
		"extended":          token + "A",
		"another prefix":    "cs_at_" + token[prefix:],
		"no prefix":         token[prefix:],
		"a space around it": " " + token,
		"over 256 bytes":    token + strings.Repeat("A", 256),
		"nothing of it":     "cs_rt_",
	}
	for i := range len(token) {
		flipped := []byte(token)
		flipped[i] ^= 1
		list[fmt.Sprintf("character %d", i)] = string(flipped)
	}
	for i := range raw {
		bit := i % 8
		if i == 4 {
			bit = 7 // the last byte of the key's id, which is a second: any lower bit makes it one of ofYoungKeys
		}
		flipped := append([]byte(nil), raw...)
		flipped[i] ^= 1 << bit
		list[fmt.Sprintf("byte %d, checksum right", i)] = withChecksum("cs_rt_" + base64.RawURLEncoding.EncodeToString(flipped))
	}
	own := binary.BigEndian.Uint32(raw[1:])
	for name, id := range map[string]uint32{
		"an old key": 1, "a key of ten minutes ago": own - 600, "a key of in ten minutes": own + 600, "a key of the far future": 1<<32 - 1,
	} {
		other := append([]byte(nil), raw...)
		binary.BigEndian.PutUint32(other[1:], id)
		list[name] = withChecksum("cs_rt_" + base64.RawURLEncoding.EncodeToString(other))
	}
	if withChecksum(token[:len(token)-checked]) != token {
		t.Fatal("this is not how the checksum is made")
	}
	return list
}

func withChecksum(text string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.ChecksumIEEE([]byte(text))
	var tail [6]byte
	for i := len(tail) - 1; i >= 0; i-- {
		tail[i] = digits[sum%62]
		sum /= 62
	}
	return text + string(tail[:])
}

// RT18: no kind of token is taken for another.
func TestRT18NoTokenPassesForAnother(t *testing.T) { // rfc8725-3.12-01
	onEngines(t, func(t *testing.T, w *world) {
		p := w.Phone("phone", func(c *standin.PhoneConfig) {
			harness.As(harness.ClientID, todos+" account.read", harness.Audience, w.Issuer)(c)
			harness.Bearer(c)
		})
		tokens, err := p.SignIn(t.Context(), w.GooglePrompt("rt18"))
		if err != nil {
			t.Fatal(err)
		}
		d := &device{Phone: p, w: w, sid: claim(t, tokens.AccessToken, "sid")}
		d.refused(t, tokens.AccessToken, "invalid_grant")
		d.refused(t, tokens.IDToken, "invalid_grant")
		for name, token := range map[string]string{"a refresh token": tokens.RefreshToken, "an id_token": tokens.IDToken} {
			for _, path := range []string{"/userinfo", "/account/v1"} {
				a := w.Do(w.Request("GET", path, "", harness.Set("Authorization", "Bearer "+token)))
				if a.Status != 401 || a.Error() != "invalid_token" {
					t.Errorf("%s at %s: %d %v", name, path, a.Status, a.Header)
				}
			}
			if w.Active(token) {
				t.Errorf("introspection calls %s active", name)
			}
		}
		d.wantCounter(t, 0)
		d.next(t, tokens.RefreshToken)
	})
}
