package domain

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
)

// ID names one noun. The type parameter keeps an account's id from being used where a session's is wanted,
// and the text form ("acc_…", "ses_…") keeps them apart on the wire and from client ids (RFC 9700 §4.15).
type ID[K kind] [16]byte

type kind interface{ prefix() string }

type (
	accountKind  struct{}
	identityKind struct{}
	deviceKind   struct{}
	sessionKind  struct{}
	apiKeyKind   struct{}
	flowKind     struct{}
	browserKind  struct{}
	regTokenKind struct{}
)

func (accountKind) prefix() string  { return "acc_" }
func (identityKind) prefix() string { return "idn_" }
func (deviceKind) prefix() string   { return "dev_" }
func (sessionKind) prefix() string  { return "ses_" }
func (apiKeyKind) prefix() string   { return "key_" }
func (flowKind) prefix() string     { return "flw_" }
func (browserKind) prefix() string  { return "brw_" }
func (regTokenKind) prefix() string { return "irt_" }

// The ids of the nouns.
type (
	AccountID  = ID[accountKind]
	IdentityID = ID[identityKind]
	DeviceID   = ID[deviceKind]
	SessionID  = ID[sessionKind]
	APIKeyID   = ID[apiKeyKind]
	FlowID     = ID[flowKind]
	BrowserID  = ID[browserKind]

	RegistrationTokenID = ID[regTokenKind]
)

// ErrID is returned for a text that is no id of the wanted kind.
var ErrID = errors.New("not an id of this kind")

// NewID returns a random id of any noun (128 bits): NewID[AccountID](). Ids are never reused.
func NewID[T ~[16]byte]() (id T) {
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return id
}

// IsZero tells whether the id names nothing.
func (id ID[K]) IsZero() bool { return id == ID[K]{} }

func (id ID[K]) String() string {
	var k K
	return k.prefix() + base64.RawURLEncoding.EncodeToString(id[:])
}

// MarshalText writes the text form; the zero id is empty.
func (id ID[K]) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads the text form, strictly; empty is the zero id.
func (id *ID[K]) UnmarshalText(text []byte) error {
	*id = ID[K]{}
	if len(text) == 0 {
		return nil
	}
	var k K
	body, ok := strings.CutPrefix(string(text), k.prefix())
	if !ok || len(body) != 22 || strings.ContainsAny(body, "\r\n") { // the decoder passes over line breaks
		return ErrID
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return ErrID
	}
	copy(id[:], raw)
	return nil
}
