package registration

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/oauth"
)

var image = fetch.Kind{Accept: "image/png, image/jpeg, image/webp, image/svg+xml", MaxBytes: clientmeta.MaxLogo}

// checkSector reads the document behind sector_identifier_uri (OIDC Registration §5).
func (s *Service) checkSector(ctx context.Context, m *clientmeta.Metadata) error {
	if m.SectorURI == "" {
		return nil
	}
	answer, err := s.get(ctx, "sector_identifier_uri", m.SectorURI, fetch.JSON)
	if err != nil {
		return err
	}
	return clientmeta.CheckSector(answer.Body, m.RedirectURIs)
}

// fetchLogo gets the picture once, to be served by us: no third party learns who signs in (ATTACKS RG06).
func (s *Service) fetchLogo(ctx context.Context, m *clientmeta.Metadata, c *domain.Client) error {
	if m.LogoURI == "" {
		return nil
	}
	answer, err := s.get(ctx, "logo_uri", m.LogoURI, image)
	if err != nil {
		return err
	}
	if text, remedy := clientmeta.CheckLogo(answer.Body); text != "" || len(answer.Body) == 0 {
		return oauth.E(oauth.InvalidClientMetadata, "logo_uri serves no picture we show: "+text+" ("+remedy+").")
	}
	c.Logo, c.LogoType = answer.Body, clientmeta.LogoType(answer.Body)
	return nil
}

// get fetches what a member points at, where there is a place to wait for the server that it names (ATTACKS RG08).
func (s *Service) get(ctx context.Context, name, address string, kind fetch.Kind) (*fetch.Response, error) {
	leave, ok := s.fetching.Enter(waitingRoom, waitingShare, hostOf(address))
	if !ok {
		return nil, oauth.Unavailable(errors.New("too many wait for what clients point at"))
	}
	defer leave()
	answer, err := s.Fetch.GetDocument(ctx, address, kind)
	if err != nil {
		return nil, unreadable(name, err)
	}
	return answer, nil
}

func unreadable(name string, cause error) error {
	return oauth.E(oauth.InvalidClientMetadata, name+" cannot be read: it must answer 200 itself, from the public Internet, in time and within its size.").
		Because(fmt.Errorf("%s: %w", name, cause))
}

// hostOf is whose server an address leads to.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return strings.ToLower(u.Hostname())
}
