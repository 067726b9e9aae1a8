package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
)

var (
	errNoSector   = errors.New("the client is pairwise, but of no one sector")
	errNoPairwise = errors.New("the key of pairwise subjects is not to be had")
)

// Subject is the `sub` under which a client knows an account: the account's id, or, for a pairwise client, one that the
// clients of its sector share and that says nothing to any other (OIDC Core §8.1). It is a keyed hash, so that nobody
// without the key can tell whose it is, and the same for ever (docs/decisions/0010-pairwise-subjects.md).
func (s *Service) Subject(c *domain.Client, account domain.AccountID) (string, error) {
	if !c.Pairwise {
		return account.String(), nil
	}
	sector, ok := c.SectorID()
	if !ok {
		return "", oauth.E(oauth.ServerError, "The client is registered for pairwise subjects without a sector.").Because(errNoSector)
	}
	key, ok := s.Keys.First(keyring.Pairwise)
	if !ok {
		return "", oauth.Unavailable(errNoPairwise)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(sector + "\x00" + account.String())) // no host name holds a NUL
	return domain.PairwisePrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// Knows tells whether a client knows an account under a subject.
func (s *Service) Knows(c *domain.Client, subject string, account domain.AccountID) bool {
	known, err := s.Subject(c, account)
	return err == nil && hmac.Equal([]byte(known), []byte(subject))
}

// of tells whether the subject of a token is the account. For a pairwise one it takes the client that the token was
// issued to, as it is now.
func (s *Service) of(ctx context.Context, subject, clientID string, account domain.AccountID) (bool, error) {
	if !strings.HasPrefix(subject, domain.PairwisePrefix) {
		return subject == account.String(), nil
	}
	c, err := s.Client(ctx, clientID)
	switch {
	case err != nil:
		return false, fmt.Errorf("whose pairwise subject: %w", err)
	case c == nil:
		return false, nil
	}
	known, err := s.Subject(c, account)
	return err == nil && known == subject, err
}
