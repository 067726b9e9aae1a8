package apikey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// RegistrationText is an initial access token (RFC 7591 §3) as its holder has it:
//
//	cs_irt_ base64url( secret 32 B ) CRC32 in 6 base62 characters
//
// Its hash is not keyed: 256 random bits cannot be tried, and registering needs no data key that way.
type RegistrationText string

// LogValue hides it.
func (RegistrationText) LogValue() slog.Value { return slog.StringValue("cs_irt_…") }

const (
	registrationPrefix = "cs_irt_"
	registrationBody   = (32*8 + 5) / 6
	registrationLen    = len(registrationPrefix) + registrationBody + sumLen
)

// The bounds of an initial access token. It is handed to others, so it ends.
const (
	maxRegistrationUses = 10_000
	maxRegistrationLife = 366 * 24 * time.Hour
)

// MintRegistration makes an initial access token with its audit row. The text is shown once and cannot be had again.
// Errors: invalid_request with what is wrong, temporarily_unavailable.
func (s *Service) MintRegistration(ctx context.Context, name string, uses int, life time.Duration, e domain.Event) (RegistrationText, *domain.RegistrationToken, error) {
	switch {
	case !nameable(name):
		return "", nil, oauth.E(oauth.InvalidRequest, "An initial access token needs a name of 1 to 100 printable characters, so that it can be told from others.")
	case uses < 1 || uses > maxRegistrationUses:
		return "", nil, oauth.E(oauth.InvalidRequest, "uses must be a number from 1 to 10000: how many clients may register with the token.")
	case life < time.Second || life > maxRegistrationLife:
		return "", nil, oauth.E(oauth.InvalidRequest, "An initial access token lives from 1 second to 366 days.")
	}
	now := s.DB.Now()
	text := newRegistrationText()
	t := domain.RegistrationToken{
		ID: domain.NewID[domain.RegistrationTokenID](), Name: name, UsesLeft: uses, CreatedAt: now, ExpiresAt: now.Add(life),
	}
	e.At = now
	if err := s.DB.CreateRegistrationToken(ctx, t, sha256.Sum256([]byte(text)), e); err != nil {
		return "", nil, oauth.Unavailable(err)
	}
	return text, &t, nil
}

func newRegistrationText() RegistrationText {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	body := registrationPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	return RegistrationText(body + checksum(body))
}

// RegistrationHash is what a token is stored under. Not ok: it is none of ours, which costs no query.
func RegistrationHash(text string) (hash [32]byte, ok bool) {
	if len(text) != registrationLen || !strings.HasPrefix(text, registrationPrefix) {
		return hash, false
	}
	body, sum := text[:registrationLen-sumLen], text[registrationLen-sumLen:]
	if checksum(body) != sum {
		return hash, false
	}
	return sha256.Sum256([]byte(text)), true
}

// nameable tells whether people can read a name in a list.
func nameable(name string) bool {
	n := utf8.RuneCountInString(name)
	return n >= 1 && n <= maxNameRunes && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}
