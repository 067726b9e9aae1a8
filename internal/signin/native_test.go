package signin_test

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/house"
)

func TestFirstSignIn(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		phone := h.Phone(t)
		in := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, phone.JKT()))
		if !in.NewAccount || in.Repeated || in.Refresh == "" {
			t.Errorf("result %+v", in)
		}
		s := in.Session
		if s.Tier != domain.TierBound || s.JKT != phone.JKT() || s.DeviceID.IsZero() || s.DeviceName != "Ada's phone" {
			t.Errorf("session %+v", s)
		}
		if !s.AuthTime.IsZero() {
			t.Error("Google sent no auth_time, and the session has one")
		}
		want := []domain.Identity{{
			AccountID: s.AccountID, ID: s.IdentityID, Provider: "google", Issuer: standin.GoogleIssuer, Subject: "ada",
			Email: "ada@gmail.com", EmailVerified: true, Name: "Ada Lovelace",
		}}
		if diff := cmp.Diff(want, identities(t, h, s.AccountID)); diff != "" {
			t.Errorf("identities: %s", diff)
		}
		wantActions(t, h, s.AccountID, "account.create", "identity.link", "session.start")
		rotated, err := h.Sessions.Rotate(t.Context(), session.Presented{
			Client: h.Client(house.Todo), Token: string(in.Refresh), JKT: phone.JKT(),
		})
		if err != nil || rotated.Session.ID != s.ID {
			t.Errorf("the refresh token gives %v, %v", rotated, err)
		}
	})
}

// rfc8725-3.8-02
func TestReturningPersonIsTheSameAccount(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		phone := h.Phone(t)
		first := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, phone.JKT()))
		for _, tt := range []struct {
			name string
			with func(*standin.TokenRequest)
		}{
			{"on the same phone", func(*standin.TokenRequest) {}},
			{"ID02 under Google's other spelling", mutate("iss", "accounts.google.com")},
			{"ID14 with another e-mail", mutate("email", "grace@gmail.com")},
			{"with the nonce as hex SHA-256", func(r *standin.TokenRequest) { r.NonceForm = standin.NonceHex }},
			{"with the nonce as base64url SHA-256", func(r *standin.TokenRequest) { r.NonceForm = standin.NonceBase64URL }},
			{"ID10 with at_hash, as Google does on iOS", func(r *standin.TokenRequest) { r.AccessToken = true }},
		} {
			t.Run(tt.name, func(t *testing.T) {
				token := house.GoogleToken("ada")
				tt.with(&token)
				in := h.Enter(t, h.Request(t, h.Google, token, house.Todo, phone.JKT()))
				if in.NewAccount || in.Session.AccountID != first.Session.AccountID {
					t.Errorf("another account")
				}
				if in.Session.ID == first.Session.ID || in.Session.DeviceID != first.Session.DeviceID {
					t.Errorf("session %v on device %v; the first is %v on %v",
						in.Session.ID, in.Session.DeviceID, first.Session.ID, first.Session.DeviceID)
				}
			})
		}
		if got := identities(t, h, first.Session.AccountID); len(got) != 1 || got[0].Email != "ada@gmail.com" {
			t.Errorf("identities %+v", got)
		}
		other := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("Ada"), house.Todo, phone.JKT()))
		if !other.NewAccount {
			t.Error("a subject in another case is another person")
		}
		// Notes has an audience of its own at Google: the same person, the same account.
		notes := house.GoogleToken("ada")
		notes.Audience, notes.AZP = "notes.example", ""
		if in := h.Enter(t, h.Request(t, h.Google, notes, house.Notes, "")); in.Session.AccountID != first.Session.AccountID {
			t.Error("another app of the same operator sees another account")
		}
	})
}

func TestAppleTellsTheNameOnce(t *testing.T) {
	h := house.OnSQLite(t)
	r := h.Request(t, h.Apple, house.AppleToken("000123.ab.0456"), house.Todo, "")
	if r.Evidence.User == "" || r.Evidence.ProviderCode == "" {
		t.Fatal("the stand-in gave no name or code")
	}
	in := h.Enter(t, r)
	if in.Session.AuthTime.IsZero() {
		t.Error("Apple sent an auth_time, and the session has none")
	}
	again := h.Enter(t, h.Request(t, h.Apple, house.AppleToken("000123.ab.0456"), house.Todo, ""))
	if again.Session.AccountID != in.Session.AccountID {
		t.Error("another account")
	}
	if got := identities(t, h, in.Session.AccountID); len(got) != 1 || got[0].Name != "Ada Lovelace" {
		t.Errorf("identities %+v", got)
	}
}

func TestTokensWithoutNonce(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		bare := func(subject string, change ...func(*standin.TokenRequest)) signin.Request {
			r := house.CorpToken(subject)
			for _, c := range change {
				c(&r)
			}
			credential, err := h.Corp.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			in := h.Request(t, h.Corp, house.CorpToken(subject), house.Kiosk, h.Phone(t).JKT())
			in.Evidence = signin.Evidence{SubjectToken: credential.IDToken}
			return in
		}
		t.Run("are accepted once where the client says so", func(t *testing.T) {
			r := bare("kim")
			h.Enter(t, r)
			wantRefused(t, h, r, oauth.InvalidRequest)
		})
		t.Run("are one token whatever their signature", func(t *testing.T) {
			r := bare("lee")
			h.Enter(t, r)
			r.Evidence.SubjectToken = twin(t, r.Evidence.SubjectToken)
			wantRefused(t, h, r, oauth.InvalidRequest)
		})
		t.Run("live five minutes", func(t *testing.T) {
			old := func(r *standin.TokenRequest) { r.IssuedAt = h.Clock.Now().Add(-6 * time.Minute) }
			wantRefused(t, h, bare("max", old), oauth.InvalidRequest)
		})
		t.Run("cannot be one that was made for a nonce of ours", func(t *testing.T) {
			r := h.Request(t, h.Corp, house.CorpToken("kim"), house.Kiosk, h.Phone(t).JKT())
			h.Enter(t, r)
			r.Evidence.Nonce = ""
			wantRefused(t, h, r, oauth.InvalidRequest)
		})
		t.Run("are refused everywhere else", func(t *testing.T) {
			r := bare("kim")
			r.Client = h.Client(house.Todo)
			wantRefused(t, h, r, oauth.InvalidRequest)
		})
	})
}

func TestDisabledAccountAndClient(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		in := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
		if _, err := h.DB.SetAccountState(t.Context(), in.Session.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		_, err := h.SignIn.Native(t.Context(), h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
		wantCode(t, err, oauth.InvalidGrant)
		if err := h.DB.SetClientDisabled(t.Context(), house.Todo, true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		_, err = h.SignIn.Native(t.Context(), h.Request(t, h.Google, house.GoogleToken("eve"), house.Todo, ""))
		wantCode(t, err, oauth.InvalidClient)
		if _, err := h.DB.AccountByIdentity(t.Context(), standin.GoogleIssuer, "eve"); err == nil {
			t.Error("a disabled client made an account")
		}
	})
}

// Another node's file withdrew the client: it is as unknown as clientauth will find it in a second, and nothing is spent.
func TestAnUndeclaredClientIsUnknown(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		catalog, err := h.DB.Catalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
		if err := h.DB.PutCatalog(t.Context(), domain.Catalog{}); err != nil {
			t.Fatal(err)
		}
		known := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
		stranger := h.Request(t, h.Google, house.GoogleToken("eve"), house.Todo, "")
		for _, r := range []signin.Request{known, stranger} {
			_, err := h.SignIn.Native(t.Context(), r)
			wantCode(t, err, oauth.InvalidClient)
			if e := oauth.AsError(err); e.Description != oauth.UnknownClient(nil).Description {
				t.Errorf("it can be told from an unknown client: %q", e.Description)
			}
		}
		if err := h.DB.PutCatalog(t.Context(), *catalog); err != nil {
			t.Fatal(err)
		}
		h.Enter(t, known)
	})
}

// A fault of ours or of the provider is never a verdict: apps sign people out on those (TK14).
func TestFaultsAreNoVerdict(t *testing.T) {
	h := house.OnSQLite(t)
	r := h.Request(t, h.Corp, house.CorpToken("ada"), house.Todo, "")
	h.Corp.Stop()
	_, err := h.SignIn.Native(t.Context(), r)
	wantCode(t, err, oauth.TemporarilyUnavailable)
	if err := h.Corp.Start(); err != nil {
		t.Fatal(err)
	}
	r = h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = h.SignIn.Native(t.Context(), r)
	wantCode(t, err, oauth.TemporarilyUnavailable)
}

func TestFailuresAreLimited(t *testing.T) {
	h := house.OnSQLite(t)
	bad := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
	bad.IP, bad.Evidence.Nonce = "192.0.2.1", "x"
	for range 30 {
		_, err := h.SignIn.Native(t.Context(), bad)
		wantCode(t, err, oauth.InvalidRequest)
	}
	_, err := h.SignIn.Native(t.Context(), bad)
	wantCode(t, err, oauth.TooManyRequests)
	if e := oauth.AsError(err); e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		t.Errorf("Retry-After %v", e.RetryAfter)
	}
	elsewhere := bad
	elsewhere.IP = "192.0.2.2"
	_, err = h.SignIn.Native(t.Context(), elsewhere) // another address pays for nothing
	wantCode(t, err, oauth.InvalidRequest)
	h.Clock.Step(time.Minute)
	good := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
	good.IP = bad.IP
	h.Enter(t, good)
	for i := range 10 { // the same token again, from everywhere: counted for the person
		good.IP = "198.51.100." + string(rune('0'+i))
		_, err = h.SignIn.Native(t.Context(), good)
		wantCode(t, err, oauth.InvalidRequest)
	}
	good.IP = "203.0.113.1"
	_, err = h.SignIn.Native(t.Context(), good)
	wantCode(t, err, oauth.TooManyRequests)
	// Whoever holds an old token of hers keeps her out of nothing.
	h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
}

// Per-address limits count failures and meet failures only: a carrier puts thousands of phones behind one address, and
// one of them is not to keep the others out (ATTACKS, Parameters).
func TestAStrangersFailuresKeepNobodyOutBehindTheSameAddress(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		const shared = "192.0.2.1"
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		phone := h.Phone(t).JKT()
		garbage := signin.Request{
			Client: h.Client(house.Todo), JKT: h.Phone(t).JKT(), IP: shared,
			Evidence: signin.Evidence{SubjectToken: "a.b.c", Nonce: "x"},
		}
		exhaust := func() {
			t.Helper()
			var err error
			for range 31 {
				_, err = h.SignIn.Native(t.Context(), garbage)
			}
			wantCode(t, err, oauth.TooManyRequests)
		}
		exhaust()
		r := h.Request(t, h.Google, house.GoogleToken("eve"), house.Todo, phone)
		r.IP = shared
		in := h.Enter(t, r)
		if again := h.Enter(t, r); !again.Repeated || again.Session.ID != in.Session.ID {
			t.Error("the repeat is another session")
		}
		t.Run("nor from the repeat of a sign-in whose nonce ran out", func(t *testing.T) {
			late := h.Request(t, h.Google, house.GoogleToken("late"), house.Todo, phone)
			late.IP = shared
			h.Clock.Step(9*time.Minute + 30*time.Second)
			first := h.Enter(t, late)
			h.Clock.Step(50 * time.Second)
			exhaust()
			if again := h.Enter(t, late); !again.Repeated || again.Session.ID != first.Session.ID {
				t.Error("the repeat is another session")
			}
		})
		t.Run("nor from linking with re-authentication", func(t *testing.T) {
			exhaust()
			m := ada.manage(t)
			m.IP = shared
			proof := ada.evidence(t, h.Google, house.GoogleToken("ada"), signin.PurposeReauth)
			m.Reauth = &proof
			e := ada.evidence(t, h.Corp, house.CorpToken("ada-at-work"), signin.PurposeLink)
			if _, added, err := h.SignIn.Link(t.Context(), m, e); err != nil || !added {
				t.Fatalf("added %v, %v", added, err)
			}
			_, _, err := h.SignIn.Link(t.Context(), m, garbage.Evidence)
			wantCode(t, err, oauth.TooManyRequests)
			m.Reauth = &garbage.Evidence
			_, err = h.SignIn.EndOthers(t.Context(), m)
			wantCode(t, err, oauth.TooManyRequests)
		})
	})
}

// A provider whose keys may not be asked for again yet: the answer says for how long.
func TestAThrottledKeyFetchSaysHowLong(t *testing.T) {
	h := house.OnSQLite(t)
	r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
	token := house.GoogleToken("ada")
	token.Nonce, token.Forgery = r.Evidence.Nonce, standin.UnknownKid
	c, err := h.Google.Issue(token)
	if err != nil {
		t.Fatal(err)
	}
	h.Enter(t, r) // the keys are there
	r.Evidence.SubjectToken = c.IDToken
	_, err = h.SignIn.Native(t.Context(), r)
	wantCode(t, err, oauth.TemporarilyUnavailable)
	if e := oauth.AsError(err); e.RetryAfter < 30*time.Second || e.RetryAfter > time.Minute {
		t.Errorf("Retry-After %v", e.RetryAfter)
	}
}

// The answer to a sign-in may be lost, and its account disabled before the repeat: the repeat says what there is to say.
func TestTheRepeatOnADisabledAccountSaysSo(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, h.Phone(t).JKT())
		in := h.Enter(t, r)
		if _, err := h.DB.SetAccountState(t.Context(), in.Session.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		_, repeat := h.SignIn.Native(t.Context(), r)
		_, anew := h.SignIn.Native(t.Context(), h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, r.JKT))
		wantCode(t, repeat, oauth.InvalidGrant)
		if repeat.Error() != anew.Error() {
			t.Errorf("the repeat says %q, a new sign-in %q", repeat, anew)
		}
	})
}

// ---- what the tests of this package share

func mutate(claim string, value any) func(*standin.TokenRequest) {
	return func(r *standin.TokenRequest) {
		r.Mutate = func(claims map[string]any) {
			if value == nil {
				delete(claims, claim)
				return
			}
			claims[claim] = value
		}
	}
}

func identities(t *testing.T, h *house.House, acc domain.AccountID) []domain.Identity {
	t.Helper()
	list, err := h.DB.Identities(t.Context(), acc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].CreatedAt, list[i].LastUsedAt = time.Time{}, time.Time{}
	}
	return list
}

func wantActions(t *testing.T, h *house.House, acc domain.AccountID, want ...string) {
	t.Helper()
	events, err := h.DB.Events(t.Context(), acc, domain.SessionID{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Action)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit rows: %s", diff)
	}
}

// wantRefused asserts the code and that nothing changed.
func wantRefused(t *testing.T, h *house.House, r signin.Request, code oauth.Code) {
	t.Helper()
	before := rows(t, h)
	_, err := h.SignIn.Native(t.Context(), r)
	wantCode(t, err, code)
	if after := rows(t, h); !maps.Equal(before, after) {
		t.Errorf("rows changed: %s", cmp.Diff(before, after))
	}
}

func rows(t *testing.T, h *house.House) map[string]int64 {
	t.Helper()
	n, err := h.DB.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantCode asserts the code and a sentence that may go over the wire (RFC 6749 §5.2).
func wantCode(t *testing.T, err error, code oauth.Code) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if len(e.Description) < 20 {
		t.Errorf("the description is no sentence: %q", e.Description)
	}
	for _, c := range e.Description {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("the description has %q: %s", c, e.Description)
		}
	}
}

// twin replaces an ES256 signature (r, s) by (r, n-s), which is as good.
func twin(t *testing.T, jwt string) string {
	t.Helper()
	dot := strings.LastIndex(jwt, ".") + 1
	signature, err := base64.RawURLEncoding.DecodeString(jwt[dot:])
	if err != nil || len(signature) != 64 {
		t.Fatalf("no ES256 signature: %d bytes, %v", len(signature), err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return jwt[:dot] + base64.RawURLEncoding.EncodeToString(signature)
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
