package clientmeta

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// Subject types (OIDC Core §8).
const (
	subjectPublic   = "public"
	subjectPairwise = "pairwise"
)

// subject: whether the client sees a `sub` of its own, and of which sector (OIDC Core §8.1). What sector_identifier_uri
// serves is still to be held against the redirect URIs: CheckSector.
func (t *Terms) subject(m *Metadata, c *domain.Client) error {
	if m.SubjectType == "" {
		m.SubjectType = subjectPublic
	}
	if m.SubjectType != subjectPublic && m.SubjectType != subjectPairwise {
		return invalid("subject_type can be public or pairwise.")
	}
	if err := t.address("sector_identifier_uri", m.SectorURI); err != nil {
		return err
	}
	c.Pairwise = m.SubjectType == subjectPairwise
	switch sector := c.Pairwise || m.SectorURI != ""; {
	case sector && c.DeviceGrant: // it gets tokens without answering at any address: it would join a sector that others made (ATTACKS RG07)
		return invalid("A client with the device grant has no sector: leave out sector_identifier_uri, and pairwise of subject_type, or register the device as a client of its own.")
	case sector && len(m.RedirectURIs) == 0:
		return invalid("A sector is that of the redirect URIs: without any, leave out sector_identifier_uri, and pairwise of subject_type.")
	}
	if m.SectorURI != "" {
		c.Sector = host(m.SectorURI)
		return nil
	}
	if !c.Pairwise {
		return nil
	}
	sector, one := (&domain.Client{RedirectURIs: m.RedirectURIs}).SectorID()
	if !one {
		return invalid("The redirect URIs have more than one https host, or none: pairwise then needs sector_identifier_uri.")
	}
	c.Sector = sector
	return nil
}

// SubjectStays holds a client's new metadata against what it was: whom it sees a subject of, and of which sector, does not
// change. It could join the sector of another with sessions it has, which answered to it and not to that sector (ATTACKS
// RG07); and a sub that changes is lost to the app itself.
func SubjectStays(was, becomes *domain.Client) error {
	before, _ := was.SectorID()
	after, _ := becomes.SectorID()
	if was.Pairwise != becomes.Pairwise || (becomes.Pairwise && before != after) {
		return invalid("subject_type and, where it is pairwise, the sector of a client stay what they are. Register a client of its own instead.")
	}
	return nil
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// CheckSector holds the document behind sector_identifier_uri against the redirect URIs: a JSON array that names each of
// them (OIDC Registration §5).
func CheckSector(document []byte, redirects []string) error {
	// The strict reader reads objects; an array inside one is judged alike.
	if _, err := jose.ParseObject(slices.Concat([]byte(`{"uris":`), document, []byte("}"))); err != nil {
		return invalid("sector_identifier_uri does not serve a JSON array.").Because(err)
	}
	if len(redirects) == 0 { // then it would endorse anybody
		return invalid("sector_identifier_uri belongs to redirect URIs, and there are none.")
	}
	var listed []string
	if err := json.Unmarshal(document, &listed); err != nil || listed == nil {
		return invalid("sector_identifier_uri does not serve a JSON array of redirect URIs.").Because(err)
	}
	for _, uri := range redirects {
		if !slices.Contains(listed, uri) {
			return invalid("sector_identifier_uri does not list every one of redirect_uris.")
		}
	}
	return nil
}
