package session

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

func TestTheTierIsFixedAtTheStart(t *testing.T) {
	const day = 24 * time.Hour
	onBothEngines(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			name           string
			client         *domain.Client
			jkt            string
			tier           domain.Tier
			boundTo        string
			idle, absolute time.Duration // absolute 0: none
		}{
			{"an app with a key", phone, phoneKey, domain.TierBound, phoneKey, 90 * day, 0},
			{"an app without", phone, "", domain.TierBearer, "", 60 * day, 365 * day},
			{"a browser with a key", browser, phoneKey, domain.TierBound, phoneKey, 90 * day, 0},
			{"a browser without", browser, "", domain.TierBearer, "", 14 * day, 30 * day},
			{"a confidential client, whatever key", web, phoneKey, domain.TierStable, "", 60 * day, 365 * day},
		} {
			row := h.signIn(t, c.client, c.jkt).row(t)
			if row.Tier != c.tier || row.JKT != c.boundTo || !row.Live(h.db.Now()) || row.Refresh.Counter != 0 {
				t.Errorf("%s: %+v", c.name, row)
			}
			if got := row.IdleExpiresAt.Sub(row.CreatedAt); got != c.idle {
				t.Errorf("%s: idle for %s, want %s", c.name, got, c.idle)
			}
			var absolute time.Duration
			if !row.AbsoluteExpiresAt.IsZero() {
				absolute = row.AbsoluteExpiresAt.Sub(row.CreatedAt)
			}
			if absolute != c.absolute {
				t.Errorf("%s: ends after %s, want %s", c.name, absolute, c.absolute)
			}
		}
	})
}

// ID09
func TestARepeatedSignInGivesTheSameBytes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		st := Start{Client: phone, JKT: phoneKey, SubjectToken: "ey.ey.ey", Nonce: "a nonce of ours"}
		row, first, err := h.s.Prepare(h.db.Now(), st)
		if err != nil {
			t.Fatal(err)
		}
		h.rotateDataKey(t)
		h.restart(t)
		if again, err := h.s.Again(row, row.Refresh.KeyID, st); err != nil || again != first {
			t.Errorf("same bytes %v, error %v", again == first, err)
		}

		for name, change := range map[string]func(*Start, *domain.Session){
			"another token":      func(s *Start, _ *domain.Session) { s.SubjectToken = "ey.ey.ex" },
			"another nonce":      func(s *Start, _ *domain.Session) { s.Nonce = "b" },
			"no nonce":           func(s *Start, _ *domain.Session) { s.Nonce = "" },
			"a refreshed one":    func(_ *Start, r *domain.Session) { r.Refresh.Counter = 1 },
			"another session":    func(_ *Start, r *domain.Session) { r.ID[0] ^= 1 },
			"a key we never had": func(_ *Start, r *domain.Session) { r.Refresh.KeyID = 8 },
			"a format we cannot": func(_ *Start, r *domain.Session) { r.Refresh.Format = 9 },
		} {
			st, row := st, row
			change(&st, &row)
			if again, err := h.s.Again(row, row.Refresh.KeyID, st); err == nil {
				t.Errorf("%s: answered %d bytes", name, len(again))
			}
		}
	})
}

func TestSecretsOfTwoStartsDiffer(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, st := range map[string]Start{
			"random":  {Client: phone},
			"derived": {Client: phone, SubjectToken: "ey.ey.ey", Nonce: "n"},
		} {
			a, _, err := h.s.Prepare(h.db.Now(), st)
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := h.s.Prepare(h.db.Now(), st)
			if err != nil {
				t.Fatal(err)
			}
			if a.Refresh.SecretHash == b.Refresh.SecretHash || a.ID == b.ID {
				t.Errorf("%s: two sessions share a secret or an id", name)
			}
		}
	})
}

func TestAuthenticFindsTheSessionWhateverTheCounter(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, phoneKey)
		tokens := []string{a.token}
		for range 3 {
			a.refresh(t)
			tokens = append(tokens, a.token)
		}
		for n, token := range tokens {
			a.untouched(t, func() {
				v, ok, err := h.s.Authentic(t.Context(), token)
				if err != nil || !ok || v.ID != a.id {
					t.Errorf("token %d: %v, %v, %v", n, v, ok, err)
				}
			})
		}
		for _, text := range []string{"", "cs_rt_", a.token[:80], "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"} {
			if _, ok, err := h.s.Authentic(t.Context(), text); ok || err != nil {
				t.Errorf("%q: %v, %v", text, ok, err)
			}
		}
	})
}

// RFC 6749 §10.10: nobody guesses a refresh token, of whichever tier and however its secret is made. All 16 bytes of the
// secret must be as good as random, and so must those of the MAC.
// rfc6749-10.10-01 rfc9700-4.14.2-04 fapi2-security-5.4.1-06
func TestEveryByteOfASecretIsUnpredictable(t *testing.T) {
	if secretLen != 16 || macLen != 16 {
		t.Fatalf("the secret has %d bytes, the MAC %d", secretLen, macLen)
	}
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, st := range map[string]Start{
			"bound, random":   {Client: phone, JKT: phoneKey},
			"bound, derived":  {Client: phone, JKT: phoneKey, SubjectToken: "ey.ey.ey", Nonce: "a nonce of ours"},
			"bearer, random":  {Client: phone},
			"bearer, derived": {Client: browser, SubjectToken: "ey.ey.ey", Nonce: "a nonce of ours"},
			"stable, random":  {Client: web},
			"stable, derived": {Client: web, SubjectToken: "ey.ey.ey", Nonce: "a nonce of ours"},
		} {
			t.Run(name, func(t *testing.T) {
				var secrets, macs [][16]byte
				for range 512 {
					_, token, err := h.s.Prepare(h.db.Now(), st)
					if err != nil {
						t.Fatal(err)
					}
					raw, err := base64.RawURLEncoding.DecodeString(string(token[len("cs_rt_") : len(token)-6]))
					if err != nil || len(raw) != 57 {
						t.Fatalf("%d bytes, %v", len(raw), err)
					}
					secrets, macs = append(secrets, [16]byte(raw[25:41])), append(macs, [16]byte(raw[41:57]))
				}
				wantRandom(t, "secret", secrets)
				wantRandom(t, "MAC", macs)
			})
		}
	})
}

// wantRandom finds bytes that hardly vary: of 512 random ones about 221 differ. It finds no weak generator.
func wantRandom(t *testing.T, what string, values [][16]byte) {
	t.Helper()
	var at [16]map[byte]bool
	for i := range at {
		at[i] = map[byte]bool{}
	}
	halves := map[[8]byte]bool{}
	for _, v := range values {
		for i, b := range v {
			at[i][b] = true
		}
		halves[[8]byte(v[:8])], halves[[8]byte(v[8:])] = true, true
	}
	for i := range at {
		if len(at[i]) < 64 {
			t.Errorf("byte %d of the %s takes %d values in %d", i, what, len(at[i]), len(values))
		}
	}
	if len(halves) != 2*len(values) {
		t.Errorf("of %d halves of the %s, %d differ", 2*len(values), what, len(halves))
	}
}
