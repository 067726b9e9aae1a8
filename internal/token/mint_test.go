package token

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// parts reads header and claims of a token without checking it.
func parts(t testing.TB, raw string) (header, claims map[string]any) {
	t.Helper()
	dots := strings.Split(raw, ".")
	if len(dots) != 3 {
		t.Fatalf("%d parts", len(dots))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(dots[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// rfc9068-2.1, rfc9068-2.2, rfc9068-2.1-01, rfc9068-2.1-03, rfc9068-2.2-01, rfc8725-3.9-01,
// rfc6749-10.10-02, rfc7519-12-01
func TestWhatAnAccessTokenSays(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		now := h.DB.Now()
		acc, ses := domain.AccountID{1}, domain.SessionID{2}
		for _, c := range []struct {
			name string
			a    Access
			typ  string
			want map[string]any // but for iss, iat, jti
		}{
			{"of a bound session", Access{Client: phone, AccountID: acc, SessionID: ses, Audience: api, Scope: []string{"a", "b"}, JKT: thumb, AuthTime: now.Add(-time.Hour)}, "DPoP", map[string]any{
				"sub": acc.String(), "sid": ses.String(), "aud": api, "client_id": phone.ID, "scope": "a b",
				"cnf": map[string]any{"jkt": thumb}, "auth_time": float64(now.Add(-time.Hour).Unix()), "exp": float64(now.Unix() + 600),
			}},
			{"of a bearer session", Access{Client: phone, AccountID: acc, SessionID: ses, Audience: issuer}, "Bearer", map[string]any{
				"sub": acc.String(), "sid": ses.String(), "aud": issuer, "client_id": phone.ID, "exp": float64(now.Unix() + 300),
			}},
			{"of a machine (TK12)", Access{Client: robot, Audience: api, Scope: []string{"todos.read"}}, "Bearer", map[string]any{
				"sub": robot.ID, "aud": api, "client_id": robot.ID, "scope": "todos.read", "exp": float64(now.Unix() + 300),
			}},
		} {
			m, err := h.MintAccess(now, c.a)
			if err != nil {
				t.Fatal(err)
			}
			header, claims := parts(t, m.Token)
			if header["typ"] != "at+jwt" || header["alg"] != "ES256" || m.Type != c.typ {
				t.Errorf("%s: header %v, type %s", c.name, header, m.Type)
			}
			if m.ExpiresIn.Seconds() != claims["exp"].(float64)-claims["iat"].(float64) {
				t.Errorf("%s: expires in %s", c.name, m.ExpiresIn)
			}
			if raw, err := base64.RawURLEncoding.DecodeString(claims["jti"].(string)); err != nil || len(raw) != 16 {
				t.Errorf("%s: jti %v", c.name, claims["jti"])
			}
			if claims["iss"] != issuer || claims["iat"] != float64(now.Unix()) {
				t.Errorf("%s: iss %v, iat %v", c.name, claims["iss"], claims["iat"])
			}
			for _, same := range []string{"iss", "iat", "jti"} {
				delete(claims, same)
			}
			if diff := cmp.Diff(c.want, claims); diff != "" {
				t.Errorf("%s:\n%s", c.name, diff)
			}
		}
	})
}

// rfc9068-2.1-02
func TestAlgorithmsAndLifetimesFollowTheClient(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		c := *phone
		c.AccessTokenAlg, c.AccessTokenTTL = domain.RS256, time.Hour
		m, err := h.MintAccess(h.DB.Now(), Access{Client: &c, Audience: api})
		if err != nil {
			t.Fatal(err)
		}
		if header, _ := parts(t, m.Token); header["alg"] != "RS256" || m.ExpiresIn != time.Hour {
			t.Errorf("header %v, lives %s", header, m.ExpiresIn)
		}
		if _, err := h.Checker([]string{api}).Check(t.Context(), m.Token, h.DB.Now()); err != nil {
			t.Error(err)
		}
	})
}

// rfc7519-4.1.7-01: 128 bits, drawn anew for every token, also for the very same one of the very same moment.
func TestNoTwoTokensShareAJTI(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		now, seen := h.DB.Now(), map[any]bool{}
		for range 500 {
			m, err := h.MintAccess(now, Access{Client: phone, Audience: api})
			if err != nil {
				t.Fatal(err)
			}
			_, claims := parts(t, m.Token)
			jti, _ := claims["jti"].(string)
			if raw, err := base64.RawURLEncoding.DecodeString(jti); err != nil || len(raw) != 16 || seen[jti] {
				t.Fatalf("jti %q after %d others: %v", jti, len(seen), err)
			}
			seen[jti] = true
		}
	})
}

// OIDC Core §2
// rfc8725-3.9-01
func TestWhatAnIDTokenSays(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		now := h.DB.Now()
		acc, ses := domain.AccountID{1}, domain.SessionID{2}
		raw, err := h.MintID(now, ID{Client: phone, AccountID: acc, SessionID: ses, Nonce: "n"})
		if err != nil {
			t.Fatal(err)
		}
		header, claims := parts(t, raw)
		want := map[string]any{
			"iss": issuer, "sub": acc.String(), "aud": phone.ID, "sid": ses.String(), "nonce": "n",
			"iat": float64(now.Unix()), "exp": float64(now.Unix() + 600),
		}
		if diff := cmp.Diff(want, claims); diff != "" || header["alg"] != "ES256" || header["typ"] != "JWT" {
			t.Errorf("header %v, claims:\n%s", header, diff)
		}
		raw, err = h.MintID(now, ID{Client: web, AccountID: acc, SessionID: ses, AuthTime: now})
		if err != nil {
			t.Fatal(err)
		}
		if header, claims := parts(t, raw); header["alg"] != "RS256" || claims["auth_time"] != float64(now.Unix()) {
			t.Errorf("header %v, claims %v", header, claims)
		}
	})
}

// I7: between the drop of a key and the moment its successor is read nothing can be signed. That passes, so it is 503.
func TestWithoutASigningKeyForTheMoment(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		rows, err := h.Keys.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range rows {
			if k.Use == domain.KeyUseSign {
				if err := h.DB.DropKey(t.Context(), store.KeyDrop{ID: k.ID, At: h.DB.Now()}, domain.Event{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := h.Keys.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = h.MintAccess(h.DB.Now(), Access{Client: robot, Audience: api})
		wantCode(t, err, oauth.TemporarilyUnavailable)
		_, err = h.MintID(h.DB.Now(), ID{Client: web})
		wantCode(t, err, oauth.TemporarilyUnavailable)
	})
}
