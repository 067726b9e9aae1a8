package passkey_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/countersign/countersign/standin"
)

// WA02 and the steps of WebAuthn Level 3 §7.1 and §7.2 that client and authenticator can get wrong. Each is refused in
// both ceremonies.
func TestWA02AnAnswerFromElsewhereOrWithoutThePersonIsRefused(t *testing.T) {
	tests := []struct {
		name    string
		flaws   standin.Flaws
		because string
	}{
		{"webauthn-7.1-01 webauthn-7.2-03 the other ceremony's type", standin.Flaws{Type: "webauthn.other"}, "another ceremony"},
		{"webauthn-7.1-02 webauthn-7.2-04 another challenge", standin.Flaws{Challenge: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "another challenge"},
		{"webauthn-7.1-03 webauthn-7.2-05 another origin", standin.Flaws{Origin: "https://evil.example"}, "made at"},
		{"a sub-domain", standin.Flaws{Origin: "https://a.login.example.com"}, "made at"},
		{"the parent domain", standin.Flaws{Origin: "https://example.com"}, "made at"},
		{"another port", standin.Flaws{Origin: issuer + ":8443"}, "made at"},
		{"the port https has anyway, which browsers leave out", standin.Flaws{Origin: issuer + ":443"}, "made at"},
		{"another scheme", standin.Flaws{Origin: "http://login.example.com"}, "made at"},
		{"capital letters", standin.Flaws{Origin: "https://LOGIN.example.com"}, "made at"},
		{"a slash behind", standin.Flaws{Origin: issuer + "/"}, "made at"},
		{"an app that nobody declared", standin.Flaws{Origin: "android:apk-key-hash:abc"}, "made at"},
		{"webauthn-7.1-04 webauthn-7.2-06 an embedded page", standin.Flaws{CrossOrigin: true}, "embedded"},
		{"webauthn-7.1-05 webauthn-7.2-07 an embedding page, even ours", standin.Flaws{CrossOrigin: true, TopOrigin: issuer}, "embedded"},
		{"an embedding page that is said not to be one", standin.Flaws{TopOrigin: issuer}, "embedded"},
		{"webauthn-7.1-06 webauthn-7.2-08 another RP id", standin.Flaws{RPID: "example.com"}, ""},
		{"webauthn-7.1-07 webauthn-7.2-09 no user presence", standin.Flaws{WithoutUserPresence: true}, ""},
		{"webauthn-7.1-08 webauthn-7.2-10 no user verification", standin.Flaws{WithoutUserVerification: true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.phone.Behave(tt.flaws)
			_, err := w.made(w.beginCreate())
			w.refused(err, tt.because)

			w.phone.Behave(standin.Flaws{})
			w.register()
			w.phone.Behave(tt.flaws)
			_, err = w.finish(w.beginGet())
			w.refused(err, tt.because)
		})
	}
}

func TestASignInThatIsNotTheAccountsIsRefused(t *testing.T) {
	tests := []struct {
		name  string
		flaws standin.Flaws
	}{
		{"webauthn-7.2-02 another account's handle", standin.Flaws{UserHandle: []byte("account 00000002")}},
		{"webauthn-7.2-01 no handle", standin.Flaws{WithoutUserHandle: true}},
		{"webauthn-7.2-11 a bad signature", standin.Flaws{BadSignature: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, standin.WithPasskeyAlg(standin.PasskeyEdDSA)).register()
			w.phone.Behave(tt.flaws)
			_, err := w.finish(w.beginGet())
			w.refused(err, "")
		})
	}
}

// Another passkey's key does not open this one.
func TestAnotherKeysSignatureIsRefused(t *testing.T) {
	w, other := newWorld(t).register(), newWorld(t).register()
	w.kept.Record = other.kept.Record
	_, err := w.finish(w.beginGet())
	w.refused(err, "")
}

// A passkey that was not eligible for backup does not become so (webauthn-7.2-12).
func TestAPasskeyThatTurnsOutToBeSyncedIsRefused(t *testing.T) {
	w := newWorld(t, standin.WithSyncedPasskeys()).register()
	w.kept.Record = bytes.Replace(w.kept.Record, []byte(`"be":true`), []byte(`"be":false`), 1)
	_, err := w.finish(w.beginGet())
	w.refused(err, "")
}

// WA05, webauthn-7.1-09.
func TestWA05AnAlgorithmThatWasNotOfferedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.phone.Behave(standin.Flaws{Alg: standin.PasskeyES384})
	_, err := w.made(w.beginCreate())
	w.refused(err, "")
}

func TestWA05KeysThatAreMalformedAreRefusedAtRegistration(t *testing.T) {
	point := bytes.Repeat([]byte{7}, 32)
	tests := []struct {
		name string
		key  any
	}{
		{"a point that is not on the curve", map[int]any{1: 2, 3: -7, -1: 1, -2: point, -3: point}},
		{"half a point", map[int]any{1: 2, 3: -7, -1: 1, -2: point}},
		{"another curve", map[int]any{1: 2, 3: -7, -1: 2, -2: point, -3: point}},
		{"an Ed25519 key that is too short", map[int]any{1: 1, 3: -8, -1: 6, -2: point[:31]}},
		{"an algorithm of another kind of key", map[int]any{1: 1, 3: -7, -1: 6, -2: point}},
		{"an RSA key of 1024 bits", map[int]any{1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 128), -2: []byte{1, 0, 1}}},
		{"an RSA key of 32 KiB", map[int]any{1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 32<<10), -2: []byte{1, 0, 1}}},
		{"an RSA key without exponent", map[int]any{1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 256)}},
		{"a symmetric key", map[int]any{1: 4, 3: 5, -1: point}},
		{"no kind", map[int]any{3: -7}},
		{"no map", []int{1, 2, 3}},
		{"text", "key"},
		{"names for numbers", map[string]any{"1": 2, "3": -7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			state, response := w.beginCreate()
			key, err := cbor.Marshal(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.made(state, attested(t, response, func(m map[string]any) {
				data := m["authData"].([]byte)
				id := int(binary.BigEndian.Uint16(data[53:55]))
				m["authData"] = append(bytes.Clone(data[:55+id]), key...)
			}))
			w.refused(err, "")
		})
	}
}

func TestWA05MalformedCBORIsRefused(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0x81}, 40<<10), 0)
	tests := []struct {
		name   string
		change func(data []byte) (object []byte)
	}{
		{"nothing", func([]byte) []byte { return nil }},
		{"depth", func([]byte) []byte { return deep }},
		{"a length of 2^63", func([]byte) []byte { return []byte{0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }},
		{"a text of 4 GiB", func([]byte) []byte { return []byte{0x7a, 0xff, 0xff, 0xff, 0xff} }},
		{"an endless map", func([]byte) []byte { return []byte{0xbf, 0xff} }},
		{"a tag", func([]byte) []byte { return []byte{0xc1, 0xa0} }},
		{"a list", func([]byte) []byte { return []byte{0x80} }},
		{"something behind", func(data []byte) []byte { return append(object(data), 0) }},
		{"a name twice", func(data []byte) []byte {
			return append(append([]byte{0xa4}, object(data)[1:]...), 0x63, 'f', 'm', 't', 0x64, 'n', 'o', 'n', 'e')
		}},
		{"no authenticator data", func([]byte) []byte { return object(nil) }},
		{"36 bytes of it", func(data []byte) []byte { return object(data[:36]) }},
		{"a key cut off", func(data []byte) []byte { return object(data[:len(data)-1]) }},
		{"a byte behind the key", func(data []byte) []byte { return object(append(bytes.Clone(data), 0)) }},
		{"webauthn-7.1-12 a credential id of 1024 bytes", func(data []byte) []byte {
			long := binary.BigEndian.AppendUint16(bytes.Clone(data[:53]), 1024)
			return object(append(append(long, make([]byte, 1024)...), data[55+32:]...))
		}},
		{"a credential id longer than everything", func(data []byte) []byte {
			long := bytes.Clone(data)
			binary.BigEndian.PutUint16(long[53:], 0xffff)
			return object(long)
		}},
		{"an empty credential id", func(data []byte) []byte {
			short := bytes.Clone(data)
			binary.BigEndian.PutUint16(short[53:], 0)
			return object(short)
		}},
		{"extensions that are not there", func(data []byte) []byte {
			flagged := bytes.Clone(data)
			flagged[32] |= 0x80
			return object(flagged)
		}},
		{"no attested data", func(data []byte) []byte {
			flagged := bytes.Clone(data[:37])
			flagged[32] &^= 0x40
			return object(flagged)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			state, response := w.beginCreate()
			var data []byte
			attested(t, response, func(m map[string]any) { data = m["authData"].([]byte) })
			_, err := w.made(state, rewrite(t, response, func(inner map[string]any) {
				inner["attestationObject"] = b64(tt.change(data))
			}))
			w.refused(err, "")
		})
	}
}

// object is an attestation object of format none around authenticator data.
func object(data []byte) []byte {
	raw, err := cbor.Marshal(struct {
		Format    string         `cbor:"fmt"`
		Statement map[string]any `cbor:"attStmt"`
		Data      []byte         `cbor:"authData"`
	}{"none", map[string]any{}, data})
	if err != nil {
		panic(err)
	}
	return raw
}

// WA05: sizes are checked before anything is read.
func TestWA05AnAnswerOverTheCapIsRefused(t *testing.T) {
	w := newWorld(t).register()
	for _, size := range []int{64<<10 + 1, 10 << 20} {
		state, response := w.beginCreate()
		_, err := w.made(state, padded(response, size))
		w.refused(err, "bytes")
		state, response = w.beginGet()
		_, err = w.finish(state, padded(response, size))
		w.refused(err, "bytes")
	}
}

func padded(response []byte, size int) []byte {
	return append(bytes.Clone(response), bytes.Repeat([]byte(" "), size-len(response))...)
}

func TestAnswersThatCanBeReadInTwoWaysAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(string) string
	}{
		{"nothing", func(string) string { return "" }},
		{"null", func(string) string { return "null" }},
		{"a list", func(s string) string { return "[" + s + "]" }},
		{"something behind", func(s string) string { return s + "{}" }},
		{"type twice", func(s string) string { return strings.Replace(s, `"type":`, `"type":"public-key","type":`, 1) }},
		{"type in capitals", func(s string) string { return strings.Replace(s, `"type":`, `"TYPE":`, 1) }},
		{"type in capitals beside it", func(s string) string { return strings.Replace(s, `"type":`, `"TYPE":"x","type":`, 1) }},
		{"another type", func(s string) string { return strings.Replace(s, "public-key", "password", 1) }},
		{"no id", func(s string) string { return strings.Replace(s, `"id":`, `"no":`, 1) }},
		{"another rawId", func(s string) string { return strings.Replace(s, `"rawId":"`, `"rawId":"AAAA`, 1) }},
		{"an id that is a number", func(s string) string { return strings.Replace(s, `"id":`, `"id":1,"no":`, 1) }},
		{"no response", func(s string) string { return strings.Replace(s, `"response":`, `"no":`, 1) }},
		{"no client data", func(s string) string { return strings.Replace(s, `"clientDataJSON":`, `"no":`, 1) }},
		{"client data that is no base64url", func(s string) string {
			return strings.Replace(s, `"clientDataJSON":"`, `"clientDataJSON":"*`, 1)
		}},
		{"client data twice", func(s string) string {
			return strings.Replace(s, `"clientDataJSON":`, `"clientDataJSON":"e30","clientDataJSON":`, 1)
		}},
		{"client data that is empty", func(s string) string {
			return strings.Replace(s, `"clientDataJSON":`, `"clientDataJSON":"e30","no":`, 1)
		}},
		{"depth", func(s string) string {
			return strings.Replace(s, `"type":`, `"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`,"type":`, 1)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t).register()
			state, response := w.beginGet()
			_, err := w.finish(state, []byte(tt.change(string(response))))
			w.refused(err, "")
			state, response = w.beginCreate()
			_, err = w.made(state, []byte(tt.change(string(response))))
			w.refused(err, "")
		})
	}
}

// Client data is signed, so a duplicate name in it can only come from a client that made it so; it is refused all the
// same, before two readers can differ over it.
func TestClientDataThatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	for _, more := range []string{
		`"origin":"https://evil.example",`, `"ORIGIN":"https://evil.example",`, `"crossOrigin":"yes",`, `"topOrigin":null,`, `"challenge":"",`,
	} {
		w := newWorld(t).register()
		state, response := w.beginGet()
		_, err := w.finish(state, rewrite(t, response, func(inner map[string]any) {
			data := unb64(t, inner["clientDataJSON"])
			inner["clientDataJSON"] = b64([]byte("{" + more + string(data[1:])))
		}))
		w.refused(err, "")
	}
}
