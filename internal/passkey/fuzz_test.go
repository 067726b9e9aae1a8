package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/standin"
)

// fuzzed is one ceremony, begun and answered well: the seed a fuzzer starts from.
func fuzzed(f *testing.F) (v *passkey.Verifier, phone *standin.Authenticator) {
	f.Helper()
	v, err := passkey.New(issuer, "Example")
	if err != nil {
		f.Fatal(err)
	}
	return v, standin.NewAuthenticator()
}

// FuzzFinishRegistration (WA05): whatever is accepted has an id, a record that FinishLogin reads, and bounded hints;
// whatever is not is the visitor's fault, and never a panic.
func FuzzFinishRegistration(f *testing.F) {
	v, phone := fuzzed(f)
	options, state, err := v.BeginRegistration(start, person, nil)
	if err != nil {
		f.Fatal(err)
	}
	response, err := phone.Create(options, issuer)
	if err != nil {
		f.Fatal(err)
	}
	var inner map[string]any
	good := response
	rewrite(f, good, func(r map[string]any) { inner = r })
	f.Add(response, []byte{})
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`), []byte{})
	f.Add([]byte{}, unb64(f, inner["attestationObject"]))
	f.Fuzz(func(t *testing.T, response, object []byte) {
		if len(object) > 0 { // past the JSON, into the CBOR
			response = rewrite(t, good, func(r map[string]any) { r["attestationObject"] = b64(object) })
		}
		made, err := v.FinishRegistration(start, state, response)
		if err != nil {
			if !errors.Is(err, passkey.ErrInvalid) || made != nil {
				t.Fatalf("refused with %v, %+v", err, made)
			}
			return
		}
		if len(made.ID) == 0 || len(made.ID) > 1023 || !json.Valid(made.Record) || len(made.Transports) > 8 {
			t.Fatalf("%+v", made)
		}
	})
}

// FuzzFinishLogin (WA05): nothing but the passkey's own answer is accepted, whatever else is around it.
func FuzzFinishLogin(f *testing.F) {
	v, phone := fuzzed(f)
	options, state, err := v.BeginRegistration(start, person, nil)
	if err != nil {
		f.Fatal(err)
	}
	response, err := phone.Create(options, issuer)
	if err != nil {
		f.Fatal(err)
	}
	made, err := v.FinishRegistration(start, state, response)
	if err != nil {
		f.Fatal(err)
	}
	options, state, err = v.BeginLogin(start)
	if err != nil {
		f.Fatal(err)
	}
	if response, err = phone.Get(options, issuer); err != nil {
		f.Fatal(err)
	}
	var inner map[string]any
	good := response
	rewrite(f, good, func(r map[string]any) { inner = r })
	f.Add(response, []byte{})
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"userHandle":"AA"}}`), []byte{})
	f.Add([]byte{}, unb64(f, inner["authenticatorData"]))
	f.Fuzz(func(t *testing.T, response, data []byte) {
		if len(data) > 0 {
			response = rewrite(t, good, func(r map[string]any) { r["authenticatorData"] = b64(data) })
		}
		find := func(_, _ []byte) (json.RawMessage, []byte, error) { return made.Record, person.Handle, nil }
		got, err := v.FinishLogin(start, state, response, find)
		if err != nil {
			if !errors.Is(err, passkey.ErrInvalid) || got != nil {
				t.Fatalf("refused with %v, %+v", err, got)
			}
			return
		}
		if got.SignCount != made.SignCount+1 || !got.UserVerified || !bytes.Equal(got.AccountHandle, person.Handle) {
			t.Fatalf("%+v", got)
		}
	})
}

// rewrite changes the member response of an answer.
func rewrite(t testing.TB, answer []byte, change func(map[string]any)) []byte {
	t.Helper()
	var outer map[string]any
	if err := json.Unmarshal(answer, &outer); err != nil {
		t.Fatal(err)
	}
	change(outer["response"].(map[string]any))
	raw, err := json.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func unb64(t testing.TB, text any) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text.(string))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
