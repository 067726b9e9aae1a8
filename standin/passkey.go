package standin

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// PasskeyAlg is a COSE algorithm number.
type PasskeyAlg int

// The algorithms a passkey can have here. ES384 is for servers that must refuse it.
const (
	PasskeyES256 PasskeyAlg = -7
	PasskeyEdDSA PasskeyAlg = -8
	PasskeyES384 PasskeyAlg = -35
	PasskeyRS256 PasskeyAlg = -257
)

// passkey is one credential.
type passkey struct {
	id     []byte
	rpID   string
	handle []byte
	alg    PasskeyAlg
	key    crypto.Signer
	count  uint32
}

// answer is RegistrationResponseJSON and AuthenticationResponseJSON.
type answer struct {
	ID         b64            `json:"id"`
	RawID      b64            `json:"rawId"`
	Type       string         `json:"type"`
	Attachment string         `json:"authenticatorAttachment"`
	Extensions map[string]any `json:"clientExtensionResults"`
	Response   any            `json:"response"`
}

func answered(id []byte, response any) ([]byte, error) {
	return json.Marshal(answer{
		ID: id, RawID: id, Type: "public-key", Attachment: "platform", Extensions: map[string]any{}, Response: response,
	})
}

// Create makes a passkey, as navigator.credentials.create does on a page of origin. The options are
// PublicKeyCredentialCreationOptionsJSON, bare or as the member publicKey of an object.
func (a *Authenticator) Create(options []byte, origin string) (response []byte, err error) {
	var o struct {
		RP        struct{ ID string } `json:"rp"`
		User      struct{ ID b64 }    `json:"user"`
		Challenge b64                 `json:"challenge"`
		Params    []struct {
			Alg PasskeyAlg `json:"alg"`
		} `json:"pubKeyCredParams"`
		Exclude []descriptor `json:"excludeCredentials"`
	}
	if err := readOptions(options, &o); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.visit("webauthn.create", o.RP.ID, origin, o.Challenge)
	if err != nil {
		return nil, err
	}
	for _, d := range o.Exclude {
		if a.find(p.rpID, d.ID) != nil {
			return nil, ErrNoPasskey
		}
	}
	alg := a.alg
	if a.flaws.Alg != 0 {
		alg = a.flaws.Alg
	} else if !slices.ContainsFunc(o.Params, func(p struct {
		Alg PasskeyAlg `json:"alg"`
	}) bool {
		return p.Alg == alg
	}) {
		return nil, fmt.Errorf("stand-in authenticator: algorithm %d is not offered: NotSupportedError", alg)
	}
	return a.create(p, alg, o.User.ID)
}

func (a *Authenticator) create(p page, alg PasskeyAlg, handle []byte) ([]byte, error) {
	k, err := newPasskey(p.rpID, alg, handle)
	if err != nil {
		return nil, err
	}
	cose, err := k.cose()
	if err != nil {
		return nil, err
	}
	data := a.data(p, k, flagAttested)
	data = append(data, make([]byte, 16)...) // AAGUID: no make told
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.id)))
	data = append(append(data, k.id...), cose...)
	attestation, err := a.attest(p, k, data)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(k.key.Public())
	if err != nil {
		return nil, err
	}
	// One authenticator holds one passkey per RP and person (§6.3.2 step 7).
	a.keys = slices.DeleteFunc(a.keys, func(old *passkey) bool {
		return old.rpID == k.rpID && bytes.Equal(old.handle, k.handle)
	})
	a.keys = append(a.keys, k)
	return answered(k.id, map[string]any{
		"clientDataJSON": b64(p.clientData), "attestationObject": b64(attestation), "authenticatorData": b64(data),
		"publicKey": b64(spki), "publicKeyAlgorithm": alg, "transports": []string{"internal", "hybrid"},
	})
}

// attest writes the attestation object (§6.5), of format none, or packed and signed by the passkey itself (§8.2).
func (a *Authenticator) attest(p page, k *passkey, data []byte) ([]byte, error) {
	if !a.flaws.SelfAttested {
		return ctap2.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	}
	signature, err := k.sign(slices.Concat(data, hashed(p.clientData)))
	if err != nil {
		return nil, err
	}
	return ctap2.Marshal(map[string]any{
		"fmt": "packed", "attStmt": map[string]any{"alg": k.alg, "sig": signature}, "authData": data,
	})
}

// Get signs in, as navigator.credentials.get does on a page of origin, with the newest passkey that fits. The options
// are PublicKeyCredentialRequestOptionsJSON, bare or as the member publicKey of an object.
func (a *Authenticator) Get(options []byte, origin string) (response []byte, err error) {
	var o struct {
		RPID      string       `json:"rpId"`
		Challenge b64          `json:"challenge"`
		Allow     []descriptor `json:"allowCredentials"`
	}
	if err := readOptions(options, &o); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.visit("webauthn.get", o.RPID, origin, o.Challenge)
	if err != nil {
		return nil, err
	}
	wanted := o.RPID
	if wanted == "" {
		wanted = p.rpID
	}
	k := a.choose(wanted, o.Allow)
	if k == nil {
		return nil, ErrNoPasskey
	}
	return a.get(p, k)
}

func (a *Authenticator) get(p page, k *passkey) ([]byte, error) {
	data := a.data(p, k, 0)
	signature, err := k.sign(slices.Concat(data, hashed(p.clientData)))
	if err != nil {
		return nil, err
	}
	if a.flaws.BadSignature {
		signature[len(signature)-1] ^= 1
	}
	response := map[string]any{
		"clientDataJSON": b64(p.clientData), "authenticatorData": b64(data), "signature": b64(signature),
		"userHandle": b64(k.handle),
	}
	if a.flaws.UserHandle != nil {
		response["userHandle"] = b64(a.flaws.UserHandle)
	}
	if a.flaws.WithoutUserHandle {
		delete(response, "userHandle")
	}
	return answered(k.id, response)
}

// data is authenticator data as far as every answer has it (§6.1).
func (a *Authenticator) data(p page, k *passkey, more byte) []byte {
	data := append(hashed([]byte(p.rpID)), a.flags()|more)
	return binary.BigEndian.AppendUint32(data, a.counted(k))
}

func (a *Authenticator) find(rpID string, id []byte) *passkey {
	for _, k := range a.keys {
		if k.rpID == rpID && bytes.Equal(k.id, id) {
			return k
		}
	}
	return nil
}

func (a *Authenticator) choose(rpID string, allow []descriptor) *passkey {
	for _, k := range slices.Backward(a.keys) {
		named := slices.ContainsFunc(allow, func(d descriptor) bool { return bytes.Equal(d.ID, k.id) })
		if k.rpID == rpID && (len(allow) == 0 || named) {
			return k
		}
	}
	return nil
}

func newPasskey(rpID string, alg PasskeyAlg, handle []byte) (*passkey, error) {
	k := &passkey{id: make([]byte, 32), rpID: rpID, handle: slices.Clone(handle), alg: alg}
	_, _ = rand.Read(k.id) // never fails: crypto/rand ends the program instead
	var err error
	switch alg {
	case PasskeyES256:
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case PasskeyES384:
		k.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case PasskeyEdDSA:
		_, k.key, err = ed25519.GenerateKey(rand.Reader)
	case PasskeyRS256:
		k.key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("algorithm %d is not known here", alg)
	}
	if err != nil {
		return nil, fmt.Errorf("stand-in authenticator: %w", err)
	}
	return k, nil
}

func (k *passkey) sign(message []byte) ([]byte, error) {
	switch k.alg {
	case PasskeyEdDSA:
		return k.key.Sign(rand.Reader, message, crypto.Hash(0))
	case PasskeyES384:
		h := crypto.SHA384.New()
		h.Write(message)
		return k.key.Sign(rand.Reader, h.Sum(nil), crypto.SHA384)
	}
	return k.key.Sign(rand.Reader, hashed(message), crypto.SHA256)
}

// ctap2 is how authenticators write CBOR (§6, CTAP2 canonical form).
var ctap2 = func() cbor.EncMode {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		panic(err) // the library refuses its own options
	}
	return mode
}()

// cose writes the public key as a COSE_Key (RFC 9053 §7, RFC 8230 §4).
func (k *passkey) cose() ([]byte, error) {
	switch public := k.key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 0x04, x, y
		if err != nil {
			return nil, err
		}
		half, curve := len(point)/2, 1
		if k.alg == PasskeyES384 {
			curve = 2
		}
		return ctap2.Marshal(map[int]any{1: 2, 3: k.alg, -1: curve, -2: point[1 : 1+half], -3: point[1+half:]})
	case ed25519.PublicKey:
		return ctap2.Marshal(map[int]any{1: 1, 3: k.alg, -1: 6, -2: []byte(public)})
	case *rsa.PublicKey:
		return ctap2.Marshal(map[int]any{1: 3, 3: k.alg, -1: public.N.Bytes(), -2: big.NewInt(int64(public.E)).Bytes()})
	}
	return nil, fmt.Errorf("stand-in authenticator: no COSE form of %T", k.key.Public())
}
