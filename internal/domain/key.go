package domain

import "time"

// KeyUse says what a stored key is for.
type KeyUse string

// The uses.
const (
	KeyUseSign KeyUse = "sign" // an asymmetric key that signs our tokens; its public half is in /jwks
	KeyUseData KeyUse = "data" // a symmetric key from which one key per purpose is derived
)

// Key is a row of key material, sealed by the master key. ID is the second it was made, so that a node can tell
// how young an unknown id is; it is unique.
type Key struct {
	ID        uint32
	Use       KeyUse
	Alg       string // ES256, RS256; HKDF-SHA256 for data keys
	Public    []byte // JWK of a signing key; empty for data keys
	Sealed    []byte
	CreatedAt time.Time
	ActiveAt  time.Time // from here on nodes may mint with it
	RetiredAt time.Time // from here on nodes no longer mint with it; zero: not retired
	ExpiresAt time.Time // from here on nothing of it is accepted; zero: not set
	DroppedAt time.Time // dropped in an emergency: not accepted at all; zero: not dropped
}

// APIKey lets an app server or the CLI use the admin API. Only a keyed hash of it is stored.
type APIKey struct {
	ID         APIKeyID
	Name       string
	Scopes     []string
	Hash       [32]byte
	CreatedAt  time.Time
	LastUsedAt time.Time
	RevokedAt  time.Time // zero: live
}

// Event is one row of the audit trail: a state change other than a routine rotation, or a security alarm.
// It never holds a token or a secret.
type Event struct {
	At        time.Time
	Action    string // "session.start", "session.end", "identity.link", "account.disable", "client.withdraw", …
	Actor     string // "account acc_…", "api-key key_…", "config" (the file, at a node's start), "system"
	AccountID AccountID
	SessionID SessionID
	ClientID  string
	Reason    string
	RequestID string
	IP        string // truncated: /24 or /48
}

// RegistrationToken is an initial access token (RFC 7591 §3): whoever holds it may register clients, until its uses or
// its time are over. Only a hash of it is stored.
type RegistrationToken struct {
	ID        RegistrationTokenID
	Name      string
	UsesLeft  int
	CreatedAt time.Time
	ExpiresAt time.Time
}
