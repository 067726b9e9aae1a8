package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
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

	// perKey: the set says of each key whose tokens it signs (Microsoft). issuers is what it said last, by kid.
	perKey  bool
	issuers atomic.Pointer[map[string]string]
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
	if s.perKey {
		issuers, err := issuersOfKeys(answer.Body)
		if err != nil {
			return nil, 0, fmt.Errorf("fetch keys: %w", err)
		}
		s.issuers.Store(&issuers)
	}
	return keys, answer.MaxAge, nil
}

// signsFor tells whether the key of that kid may sign for an issuer. A key of one tenant, or of personal accounts,
// signs nothing for others, though all stand in one set; a key of which nothing is said signs for all.
func (s *keySource) signsFor(kid, iss, tenant string) bool {
	issuers := s.issuers.Load()
	if issuers == nil {
		return true
	}
	of, said := (*issuers)[kid]
	return !said || strings.ReplaceAll(of, "{tenantid}", tenant) == iss
}

func issuersOfKeys(set []byte) (map[string]string, error) {
	document, err := jose.ParseObject(set)
	if err != nil {
		return nil, err
	}
	keys, _, err := document.Objects("keys")
	if err != nil {
		return nil, err
	}
	issuers := map[string]string{}
	for _, key := range keys {
		kid, _, err1 := key.String("kid")
		of, said, err2 := key.String("issuer")
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if said {
			issuers[kid] = of
		}
	}
	return issuers, nil
}

// locate asks the configured issuer, and nobody else, where its keys are (OIDC Discovery §4).
func (s *keySource) locate(ctx context.Context) (string, error) {
	if s.uri != "" {
		return s.uri, nil
	}
	if s.discovered != "" {
		return s.discovered, nil
	}
	document, err := discover(ctx, s.fetch, s.discoverAt)
	if err != nil {
		return "", err
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
