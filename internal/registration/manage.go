package registration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// errToken is one sentence for all reasons: whoever has no right to a client does not hear whether it is there
// (RFC 7592 §2.1).
var errToken = oauth.E(oauth.InvalidToken, "The registration access token is not good for this client, or the client is gone.")

// Read returns a client as it is registered, without its secret, which we do not have (RFC 7592 §2.1).
func (s *Service) Read(ctx context.Context, id, token string) (*Answer, error) {
	found, _, err := s.managed(ctx, id, token)
	if err != nil {
		return nil, err
	}
	m := &clientmeta.Metadata{}
	if err := json.Unmarshal([]byte(found.Metadata), m); err != nil {
		return nil, fmt.Errorf("read client metadata: %w", err)
	}
	m.JWKS = found.Client.JWKS
	return s.answer(&found.Client, m, "", token), nil
}

// Replace puts new metadata in the place of all there was (RFC 7592 §2.2). The secret stays, unless the client comes to
// need one, or none.
func (s *Service) Replace(ctx context.Context, id, token string, body []byte) (*Answer, error) {
	found, hash, err := s.managed(ctx, id, token)
	if err != nil {
		return nil, err
	}
	if err := limited(s.Limit.Take("client "+id, s.DB.Now())); err != nil { // each may make us fetch something
		return nil, err
	}
	doc, err := clientmeta.Parse(body)
	if err != nil {
		return nil, err
	}
	if err := checkUpdate(doc, &found.Client); err != nil {
		return nil, err
	}
	now := s.DB.Now()
	c, m, err := s.judge(ctx, &doc.Metadata, found.Client.Registered, now)
	if err != nil {
		return nil, err
	}
	if err := clientmeta.SubjectStays(&found.Client, c); err != nil {
		return nil, err
	}
	c.ID, c.RegisteredAt = found.Client.ID, found.Client.RegisteredAt
	if hasSecret(c) {
		c.SecretHash = found.Client.SecretHash
	}
	secret := giveSecret(c)
	r, err := row(c, m)
	if err != nil {
		return nil, err
	}
	done, err := s.DB.ReplaceRegistration(ctx, r, hash, told(ctx, now))
	switch {
	case err != nil:
		return nil, oauth.Unavailable(err)
	case !done:
		return nil, errToken
	}
	return s.answer(c, m, secret, token), nil
}

// checkUpdate: an update says whom it means, and does not set what is ours to give (RFC 7592 §2.2).
func checkUpdate(doc *clientmeta.Document, c *domain.Client) error {
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"} {
		if doc.Has(name) {
			return oauth.E(oauth.InvalidRequest, "An update must not carry "+name+".")
		}
	}
	switch {
	case doc.ClientID != c.ID:
		return oauth.E(oauth.InvalidRequest, "An update carries the client_id it was given.")
	case doc.Has("client_secret") && !secretFits(c, doc.ClientSecret):
		return oauth.E(oauth.InvalidRequest, "client_secret is not the one this client was given. Leave it out: an update does not change it.")
	}
	return nil
}

// Delete takes the client away, and with it all it was given (RFC 7592 §2.3).
func (s *Service) Delete(ctx context.Context, id, token string) error {
	hash, ok := hashToken(token)
	if !ok {
		return errToken
	}
	done, err := s.DB.DeleteRegistration(ctx, id, hash, told(ctx, s.DB.Now()))
	switch {
	case err != nil:
		return oauth.Unavailable(err)
	case !done:
		return errToken
	}
	event.Add(ctx, "client", id)
	return nil
}

// managed finds the client that a token manages.
func (s *Service) managed(ctx context.Context, id, token string) (*store.Registration, [32]byte, error) {
	hash, ok := hashToken(token)
	if !ok {
		return nil, hash, errToken
	}
	found, err := s.DB.Registration(ctx, id, hash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, hash, errToken
	case err != nil:
		return nil, hash, oauth.Unavailable(err)
	}
	event.Add(ctx, "client", id)
	return found, hash, nil
}
