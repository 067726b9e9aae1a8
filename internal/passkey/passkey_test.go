package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/standin"
)

const issuer = "https://login.example.com"

var (
	start  = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	person = passkey.User{Handle: []byte("account 00000001"), Name: "someone@mail.example", DisplayName: "Someone"}
)

// world is a verifier with a clock, an authenticator, and what a store would keep of the one passkey.
type world struct {
	*testing.T
	verifier *passkey.Verifier
	phone    *standin.Authenticator
	now      time.Time
	kept     *passkey.Credential
}

func newWorld(t *testing.T, options ...standin.AuthenticatorOption) *world {
	t.Helper()
	v, err := passkey.New(issuer, "Example")
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, verifier: v, phone: standin.NewAuthenticator(options...), now: start}
}

// beginCreate returns the state and the phone's answer.
func (w *world) beginCreate() (state, response []byte) {
	w.Helper()
	options, state, err := w.verifier.BeginRegistration(w.now, person, nil)
	if err != nil {
		w.Fatal(err)
	}
	response, err = w.phone.Create(options, issuer)
	if err != nil {
		w.Fatal(err)
	}
	return state, response
}

// made finishes a registration.
func (w *world) made(state, response []byte) (*passkey.Credential, error) {
	return w.verifier.FinishRegistration(w.now, state, response)
}

func (w *world) register() *world {
	w.Helper()
	state, response := w.beginCreate()
	made, err := w.made(state, response)
	if err != nil {
		w.Fatal(err)
	}
	w.kept = made
	return w
}

func (w *world) beginGet() (state, response []byte) {
	w.Helper()
	options, state, err := w.verifier.BeginLogin(w.now)
	if err != nil {
		w.Fatal(err)
	}
	response, err = w.phone.Get(options, issuer)
	if err != nil {
		w.Fatal(err)
	}
	return state, response
}

var errUnknown = errors.New("no such passkey")

func (w *world) find(id, _ []byte) (json.RawMessage, []byte, error) {
	if w.kept == nil || !bytes.Equal(id, w.kept.ID) {
		return nil, nil, errUnknown
	}
	return w.kept.Record, person.Handle, nil
}

func (w *world) finish(state, response []byte) (*passkey.Assertion, error) {
	return w.verifier.FinishLogin(w.now, state, response, w.find)
}

func (w *world) refused(err error, because string) {
	w.Helper()
	if !errors.Is(err, passkey.ErrInvalid) || !strings.Contains(err.Error(), because) {
		w.Errorf("got %v, want a refusal because of %q", err, because)
	}
}

// webauthn-7.1-10, webauthn-7.2-11: what was offered is accepted, by real keys.
func TestAPasskeyOfEveryOfferedAlgorithmRegistersAndSignsIn(t *testing.T) {
	tests := []struct {
		name   string
		option standin.AuthenticatorOption
	}{
		{"ES256", standin.WithPasskeyAlg(standin.PasskeyES256)},
		{"EdDSA", standin.WithPasskeyAlg(standin.PasskeyEdDSA)},
		{"RS256", standin.WithPasskeyAlg(standin.PasskeyRS256)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.option).register()
			if w.kept.SignCount != 1 || w.kept.BackupEligible || w.kept.AAGUID != "00000000-0000-0000-0000-000000000000" {
				t.Errorf("%+v", w.kept)
			}
			for want := uint32(2); want < 5; want++ {
				got, err := w.finish(w.beginGet())
				if err != nil {
					t.Fatal(err)
				}
				if got.SignCount != want || !got.UserVerified || !bytes.Equal(got.CredentialID, w.kept.ID) ||
					!bytes.Equal(got.AccountHandle, person.Handle) {
					t.Errorf("%+v", got)
				}
				w.kept.Record = got.Record
			}
		})
	}
}

func TestASyncedPasskeySaysSoAndCountsNothing(t *testing.T) {
	w := newWorld(t, standin.WithSyncedPasskeys()).register()
	if !w.kept.BackupEligible || w.kept.SignCount != 0 {
		t.Errorf("%+v", w.kept)
	}
	got, err := w.finish(w.beginGet())
	if err != nil || got.SignCount != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// The store compares: it is told the truth, also a count that went back.
func TestACounterSetBackIsReported(t *testing.T) {
	w := newWorld(t).register()
	if _, err := w.finish(w.beginGet()); err != nil {
		t.Fatal(err)
	}
	w.phone.Behave(standin.Flaws{CounterBack: 2})
	got, err := w.finish(w.beginGet())
	if err != nil || got.SignCount != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheOptionsAskForWhatIsRequired(t *testing.T) {
	w := newWorld(t)
	raw, _, err := w.verifier.BeginRegistration(w.now, person, [][]byte{[]byte("an old one")})
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Challenge, Attestation string
		Timeout                int
		RP                     struct{ ID, Name string }
		User                   struct{ ID, Name, DisplayName string }
		PubKeyCredParams       []struct{ Alg int }
		ExcludeCredentials     []struct{ ID string }
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	challenge, err := base64.RawURLEncoding.DecodeString(o.Challenge)
	if err != nil || len(challenge) < 16 {
		t.Errorf("challenge %q", o.Challenge)
	}
	handle := base64.RawURLEncoding.EncodeToString(person.Handle)
	old := base64.RawURLEncoding.EncodeToString([]byte("an old one"))
	if o.RP.ID != "login.example.com" || o.RP.Name != "Example" || o.User.ID != handle || o.Attestation != "none" ||
		o.Timeout != 300_000 || len(o.PubKeyCredParams) != 3 || o.AuthenticatorSelection.ResidentKey != "required" ||
		o.AuthenticatorSelection.UserVerification != "required" || len(o.ExcludeCredentials) != 1 || o.ExcludeCredentials[0].ID != old {
		t.Errorf("%s", raw)
	}
	login, _, err := w.verifier.BeginLogin(w.now)
	if err != nil || strings.Contains(string(login), "allowCredentials") || !strings.Contains(string(login), `"userVerification":"required"`) {
		t.Errorf("%s, %v", login, err)
	}
}

func TestAnAuthenticatorThatHoldsAPasskeyOfTheAccountMakesNoSecond(t *testing.T) {
	w := newWorld(t).register()
	options, _, err := w.verifier.BeginRegistration(w.now, person, w.phone.Passkeys())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.phone.Create(options, issuer); !errors.Is(err, standin.ErrNoPasskey) {
		t.Errorf("got %v", err)
	}
}

func TestIssuersThatCannotHavePasskeys(t *testing.T) {
	for _, bad := range []string{
		"", "login.example.com", "https://127.0.0.1:8080", "http://[::1]:8080", "https://login.example.com/", "ftp://login.example.com",
		"https://LOGIN.example.com", "https://someone@login.example.com", "https://login.example.com?x", "https://",
	} {
		if _, err := passkey.New(bad, "Example"); !errors.Is(err, passkey.ErrIssuer) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"https://login.example.com", "http://localhost:8080", "https://id.example.org:8443"} {
		if _, err := passkey.New(good, "Example"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// WA01: the state belongs to one ceremony and ends.
func TestAStateOfAnotherCeremonyOrTooOldIsRefused(t *testing.T) {
	w := newWorld(t).register()
	state, response := w.beginGet()
	_, err := w.made(state, response)
	w.refused(err, "ceremony")
	create, made := w.beginCreate()
	_, err = w.finish(create, made)
	w.refused(err, "ceremony")
	_, later := w.beginGet()
	_, err = w.finish(state, later)
	w.refused(err, "another challenge")
	w.now = start.Add(5 * time.Minute)
	_, err = w.finish(state, response)
	w.refused(err, "five minutes")
	_, err = w.made(create, made)
	w.refused(err, "five minutes")
}

// A state nobody here wrote is our own fault, not the visitor's.
func TestAStateThatIsNoneIsNotTheVisitorsFault(t *testing.T) {
	w := newWorld(t).register()
	state, response := w.beginGet()
	for _, bad := range []string{
		"", "null", "{}", `{"v":2}`, string(state) + " x", strings.Repeat(" ", 5000), `{"v":1,"kind":"webauthn.get","challenge":"","exp":9999999999}`,
		strings.Replace(string(state), `"v":1`, `"v":1,"x":1`, 1),
	} {
		if _, err := w.finish([]byte(bad), response); err == nil || errors.Is(err, passkey.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWhatTheStoreSaysIsPassedOn(t *testing.T) {
	w := newWorld(t).register()
	w.kept = nil
	if _, err := w.finish(w.beginGet()); err != errUnknown { //nolint:errorlint // unwrapped is what is promised
		t.Errorf("got %v", err)
	}
}

// The record comes from our store: one that cannot be read is no verdict over the visitor.
func TestARecordThatCannotBeReadIsNotTheVisitorsFault(t *testing.T) {
	w := newWorld(t).register()
	good := string(w.kept.Record)
	for _, bad := range []string{"", "{}", good + "{}", strings.Replace(good, `"alg":-7`, `"alg":-257`, 1), `{"v":1,"key":"AAAA","alg":-7}`} {
		w.kept.Record = json.RawMessage(bad)
		if _, err := w.finish(w.beginGet()); err == nil || errors.Is(err, passkey.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// webauthn-7.1-11.
func TestARegistrationMaySignItselfButNotBeAttested(t *testing.T) {
	w := newWorld(t)
	for _, statement := range []string{"packed", "tpm", "android-key", "fido-u2f", "apple", "android-safetynet", "compound", "mine"} {
		state, response := w.beginCreate()
		response = attested(t, response, func(m map[string]any) {
			m["fmt"] = statement
			m["attStmt"] = map[string]any{"alg": -7, "sig": []byte{1}, "x5c": [][]byte{{1}}}
		})
		_, err := w.made(state, response)
		w.refused(err, "attestation")
	}
	state, response := w.beginCreate()
	_, err := w.made(state, attested(t, response, func(m map[string]any) {
		m["fmt"], m["attStmt"] = "packed", map[string]any{"alg": -7, "sig": []byte{1}}
	}))
	w.refused(err, "")
	w.phone.Behave(standin.Flaws{SelfAttested: true})
	if _, err := w.made(w.beginCreate()); err != nil {
		t.Error(err)
	}
}

// webauthn-7.2-14: password managers say things nobody asked.
func TestExtensionOutputsNobodyAskedForArePassedOver(t *testing.T) {
	w := newWorld(t)
	more := func(response []byte) []byte {
		return bytes.Replace(response, []byte(`"clientExtensionResults":{}`),
			[]byte(`"clientExtensionResults":{"credProps":{"rk":true},"prf":{"enabled":true}}`), 1)
	}
	state, response := w.beginCreate()
	made, err := w.made(state, more(response))
	if err != nil {
		t.Fatal(err)
	}
	w.kept = made
	state, response = w.beginGet()
	if _, err := w.finish(state, more(response)); err != nil {
		t.Error(err)
	}
}

// attested rewrites the attestation object of a registration.
func attested(t *testing.T, response []byte, change func(map[string]any)) []byte {
	t.Helper()
	return rewrite(t, response, func(inner map[string]any) {
		var m map[string]any
		if err := cbor.Unmarshal(unb64(t, inner["attestationObject"]), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		raw, err := cbor.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		inner["attestationObject"] = b64(raw)
	})
}
