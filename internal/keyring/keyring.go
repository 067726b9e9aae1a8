// Package keyring owns key material in memory: it unseals what the store keeps under the master key, derives one
// key per purpose, and says which key mints now. A key is readable on every node for 60 s before any node mints
// with it. It does not decide what is signed.
package keyring

import (
	"context"
	"crypto"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/store"
)

// Purpose separates the keys derived from one data key (HKDF-SHA256 info).
type Purpose string

// The purposes.
const (
	RefreshMAC   Purpose = "refresh-mac"
	SessionStart Purpose = "session-start"
	SignInNonce  Purpose = "sign-in-nonce"
	DPoPNonce    Purpose = "dpop-nonce"
	Fingerprint  Purpose = "request-fingerprint"
	APIKeyPepper Purpose = "api-key-pepper"
	Cursor       Purpose = "cursor"
	Sealing      Purpose = "sealing"
)

// Master is the key (and older ones) that wrap everything; it lives outside the database.
type Master struct{}

// ParseMaster reads a master key file: one key a line, base64url of at least 32 bytes, "#" comments; the first
// wraps, the others only unwrap. Short and all-equal keys are refused.
func ParseMaster(file []byte) (*Master, error) { panic("unbuilt") }

// NewMasterLine returns a fresh line for a master key file.
func NewMasterLine() string { panic("unbuilt") }

// Options of a Ring.
type Options struct {
	SigningPeriod time.Duration // zero: 90 days
	DataPeriod    time.Duration // zero: 90 days
	PublishAhead  time.Duration // signing keys: zero: 24 h; the very first keys mint at once
	ReadableAhead time.Duration // data keys: zero: 60 s; the very first mints at once
	KeepFor       time.Duration // retired data keys and public halves: zero: 400 days data, 25 h signing
}

// Ring is the keys of one node. Safe for concurrent use.
type Ring struct{}

// Open loads the keys and creates the first ones where none are. Two nodes may do so at once.
func Open(ctx context.Context, db *store.DB, m *Master, o Options) (*Ring, error) { panic("unbuilt") }

// Run reloads every second and keeps the schedule until ctx ends.
func (r *Ring) Run(ctx context.Context) { panic("unbuilt") }

// Reload reads the keys again now.
func (r *Ring) Reload(ctx context.Context) error { panic("unbuilt") }

// Current returns the id of the data key that mints now.
func (r *Ring) Current() uint32 { panic("unbuilt") }

// Key returns the key derived for a purpose from a data key this node knows; never a query.
func (r *Ring) Key(id uint32, p Purpose) ([]byte, bool) { panic("unbuilt") }

// Find is Key, but an unknown id younger than 60 s is looked up once, at most once a second per node.
func (r *Ring) Find(ctx context.Context, id uint32, p Purpose) ([]byte, bool, error) {
	panic("unbuilt")
}

// Signer returns the key that signs with alg now.
func (r *Ring) Signer(alg domain.SigningAlg) (*jose.Signer, error) { panic("unbuilt") }

// PublicKeys returns what /jwks publishes: next, current and recently retired keys, never dropped ones.
func (r *Ring) PublicKeys() []jose.PublicKey { panic("unbuilt") }

// PublicKey returns one published key; it has the type of accesstoken.KeyFunc.
func (r *Ring) PublicKey(ctx context.Context, kid string, alg jose.Alg) (crypto.PublicKey, error) {
	panic("unbuilt")
}

// Seal encrypts with AES-256-GCM under the current data key; aad names the row ("identities/idn_…/refresh").
func (r *Ring) Seal(aad string, plaintext []byte) ([]byte, error) { panic("unbuilt") }

// Open decrypts what Seal made for the same aad.
func (r *Ring) Open(aad string, sealed []byte) ([]byte, error) { panic("unbuilt") }

// List returns the rows of all keys, newest first.
func (r *Ring) List(ctx context.Context) ([]domain.Key, error) { panic("unbuilt") }

// Rotate makes the next key of every kind now, on the normal publish-ahead schedule; with now set, signing keys
// mint as soon as every node can have read them (ReadableAhead).
func (r *Ring) Rotate(ctx context.Context, now bool, e domain.Event) error { panic("unbuilt") }

// Drop refuses a signing key at once, everywhere within the reload period, and puts its successor in place.
func (r *Ring) Drop(ctx context.Context, kid string, e domain.Event) error { panic("unbuilt") }
