package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

// keySource knows where a provider's keys are. Its one user, the key cache, calls load once at a time.
type keySource struct {
	fetch      *fetch.Client
	uri        string // of the key set; empty until discovered
	discoverAt string // the configured issuer; where uri was configured, it is not asked
	discovered string
}

func (s *keySource) load(ctx context.Context) ([]jose.PublicKey, time.Duration, error) {
	uri, err := s.locate(ctx)
	if err != nil {
		return nil, 0, err
	}
	answer, err := s.get(ctx, uri)
	if err != nil {
		s.discovered = "" // it may have moved: ask again next time
		return nil, 0, fmt.Errorf("fetch keys: %w", err)
	}
	keys, err := jose.ParseSet(answer.Body)
	if err != nil {
		return nil, 0, fmt.Errorf("fetch keys: %w", err)
	}
	return keys, answer.MaxAge, nil
}

// locate asks the configured issuer, and nobody else, where its keys are (OIDC Discovery §4).
func (s *keySource) locate(ctx context.Context) (string, error) {
	if s.uri != "" {
		return s.uri, nil
	}
	if s.discovered != "" {
		return s.discovered, nil
	}
	answer, err := s.get(ctx, strings.TrimSuffix(s.discoverAt, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	document, err := jose.ParseObject(answer.Body)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	if issuer, _, err := document.String("issuer"); err != nil || issuer != s.discoverAt { // §4.3
		return "", errors.New("discovery: the document's issuer is not the configured one")
	}
	uri, _, err := document.String("jwks_uri")
	if err != nil || uri == "" {
		return "", errors.New("discovery: jwks_uri is missing or no string")
	}
	s.discovered = uri
	return uri, nil
}

func (s *keySource) get(ctx context.Context, uri string) (*fetch.Response, error) {
	answer, err := s.fetch.Get(ctx, uri)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.Status)
	}
	return answer, nil
}
