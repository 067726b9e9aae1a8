// Package apikey owns the keys of the admin API: it mints them, checks them and revokes them. A key is shown once and
// stored as a keyed hash; it carries scopes and no person. No key can make another: minting is for the command line,
// which has the database and the master key. The initial access tokens with which clients register are made here too:
// they let a client in and carry no scope.
package apikey

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// The scopes of the admin API.
const (
	AccountsRead  = "accounts.read"
	AccountsWrite = "accounts.write"
	SessionsRead  = "sessions.read"
	SessionsWrite = "sessions.write"
	KeysRead      = "keys.read"
	KeysWrite     = "keys.write"
	ClientsRead   = "clients.read"
	ClientsWrite  = "clients.write"
	AuditRead     = "audit.read"
)

// Scopes lists all of them.
func Scopes() []string {
	return []string{
		AccountsRead, AccountsWrite, SessionsRead, SessionsWrite, KeysRead, KeysWrite, ClientsRead, ClientsWrite,
		AuditRead,
	}
}

// What the command line tells a person who asked for something else.
var (
	ErrScope = errors.New("an API key needs at least one scope, each of: " + strings.Join(Scopes(), ", "))
	ErrName  = errors.New("an API key needs a name of 1 to 100 printable characters, so that it can be told from others")
)

const maxNameRunes = 100

// touchEvery is how exact the last use of a key is kept.
const touchEvery = time.Minute

// Service does it. Its fields are set by app.
type Service struct {
	DB   *store.DB
	Keys *keyring.Ring
}

// Mint makes a key with its audit row. The text is shown once and cannot be had again.
func (s *Service) Mint(ctx context.Context, name string, scopes []string, e domain.Event) (Text, *domain.APIKey, error) {
	if err := check(name, scopes); err != nil {
		return "", nil, err
	}
	now := s.DB.Now()
	t := newToken(s.Keys.Current())
	pepper, ok := s.Keys.Key(t.pepper, keyring.APIKeyPepper)
	if !ok {
		return "", nil, errors.New("data key missing from the ring")
	}
	text := t.text()
	k := domain.APIKey{ID: t.id, Name: name, Scopes: sorted(scopes), Hash: hash(pepper, text), CreatedAt: now}
	e.At = now
	if err := s.DB.AddAPIKey(ctx, k, e); err != nil {
		return "", nil, err
	}
	return text, &k, nil
}

// Check returns the live key a text stands for. Errors: invalid_token, one sentence for all reasons, or
// temporarily_unavailable. A text with a wrong form or checksum costs no query.
func (s *Service) Check(ctx context.Context, text string) (*domain.APIKey, error) {
	t, ok := parse(text)
	if !ok {
		return nil, refused("malformed")
	}
	pepper, ok, err := s.Keys.Find(ctx, t.pepper, keyring.APIKeyPepper)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	if !ok {
		return nil, refused("its data key is unknown or expired")
	}
	k, err := s.DB.APIKey(ctx, t.id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, refused("unknown id")
	case err != nil:
		return nil, oauth.Unavailable(err)
	}
	if sum := hash(pepper, Text(text)); !hmac.Equal(sum[:], k.Hash[:]) {
		return nil, refused("wrong secret")
	}
	if !k.RevokedAt.IsZero() {
		return nil, refused("revoked")
	}
	s.touch(ctx, k)
	return k, nil
}

// Revoke ends a key with its audit row; store.ErrNotFound if there is none.
func (s *Service) Revoke(ctx context.Context, id domain.APIKeyID, e domain.Event) error {
	e.At = s.DB.Now()
	return s.DB.RevokeAPIKey(ctx, id, e)
}

// List returns all keys, newest first, revoked ones too.
func (s *Service) List(ctx context.Context) ([]domain.APIKey, error) { return s.DB.APIKeys(ctx) }

// touch notes the use. A failure is told and forgiven: the key is right all the same.
func (s *Service) touch(ctx context.Context, k *domain.APIKey) {
	now := s.DB.Now()
	if now.Sub(k.LastUsedAt) < touchEvery {
		return
	}
	if err := s.DB.TouchAPIKey(ctx, k.ID, now); err != nil {
		event.Add(ctx, "api_key_touch", err.Error())
	}
}

func refused(why string) error {
	return oauth.E(oauth.InvalidToken, "This API key is not valid. Make one with: countersign api-key new").Because(errors.New(why))
}

func check(name string, scopes []string) error {
	if !nameable(name) {
		return ErrName
	}
	known := Scopes()
	if len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(known, s) }) {
		return ErrScope
	}
	return nil
}

func sorted(scopes []string) []string {
	out := slices.Clone(scopes)
	slices.Sort(out)
	return slices.Compact(out)
}

// hash is what the row keeps. The pepper makes a stolen database useless for trying keys.
func hash(pepper []byte, text Text) (sum [32]byte) {
	h := hmac.New(sha256.New, pepper)
	h.Write([]byte(text))
	h.Sum(sum[:0])
	return sum
}
