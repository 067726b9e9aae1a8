package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/jose"
)

// Microsoft has an issuer per tenant and no common one (other-providers.md section 2): the token's tid decides, is
// substituted into the template, and must be a tenant that may sign in.
const (
	microsoftBase      = "https://login.microsoftonline.com/"
	microsoftKeys      = "/discovery/v2.0/keys"
	microsoftAuthorize = "/oauth2/v2.0/authorize"
	microsoftToken     = "/oauth2/v2.0/token"
	microsoftVersion   = "/v2.0"
	microsoftTemplate  = microsoftBase + "{tenantid}" + microsoftVersion

	personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad" // of everybody without an organisation
)

// What Tenant may be beside a tenant's id.
const (
	tenantCommon        = "common"
	tenantOrganizations = "organizations"
	tenantConsumers     = "consumers"
)

// tenants are those whose people may sign in.
type tenants struct {
	listed          []string // nil: all, but for withoutPersonal
	withoutPersonal bool
}

func newTenants(s Settings) (*tenants, error) {
	t := &tenants{}
	switch {
	case s.Tenant == tenantCommon:
	case s.Tenant == tenantOrganizations:
		t.withoutPersonal = true
	case s.Tenant == tenantConsumers:
		t.listed = []string{personalTenant}
	case isTenantID(s.Tenant):
		t.listed = []string{s.Tenant}
	default:
		return nil, fmt.Errorf("tenant %q is not common, organizations, consumers or the id of a tenant in lower case", s.Tenant)
	}
	for _, id := range s.Tenants {
		if !isTenantID(id) || !t.admit(id) {
			return nil, fmt.Errorf("tenants: %q is no id of a tenant in lower case, or one that %s does not admit", id, s.Tenant)
		}
	}
	if len(s.Tenants) > 0 {
		t.listed = slices.Clone(s.Tenants)
	}
	return t, nil
}

func (t *tenants) admit(id string) bool {
	if t.listed != nil {
		return slices.Contains(t.listed, id)
	}
	return isTenantID(id) && (id != personalTenant || !t.withoutPersonal)
}

func (t *tenants) overlap(other *tenants) bool {
	if t.listed == nil && other.listed == nil {
		return true // both admit every organisation
	}
	return slices.ContainsFunc(t.listed, other.admit) || slices.ContainsFunc(other.listed, t.admit)
}

// issuer is the only one, or the template that never stands in a token.
func (t *tenants) issuer() string {
	if len(t.listed) == 1 {
		return tenantIssuer(t.listed[0])
	}
	return microsoftTemplate
}

func tenantIssuer(id string) string { return microsoftBase + id + microsoftVersion }

// ofIssuer returns the tenant an issuer is of.
func ofIssuer(iss string) (id string, ok bool) {
	rest, starts := strings.CutPrefix(iss, microsoftBase)
	id, ends := strings.CutSuffix(rest, microsoftVersion)
	return id, starts && ends && isTenantID(id)
}

// isTenantID tells whether s is a GUID as Microsoft writes it.
func isTenantID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// checkTenant holds tid against the issuer, which is that of an admitted tenant, and the issuer against the key.
func (t *token) checkTenant(iss string) error {
	tid, _, err := t.claims.String("tid")
	if err != nil {
		return err
	}
	if tid == "" || tenantIssuer(tid) != iss {
		return errors.New("tid is not the tenant of iss")
	}
	if t.kid == "" || !t.provider.source.signsFor(t.kid, iss, tid) {
		return errors.New("the key is not one that signs for this tenant")
	}
	return nil
}

// domainVerified reads xms_edov: the domain of the address is the tenant's. Without it any tenant's administrator may
// write any address (the "nOAuth" takeover).
func domainVerified(claims jose.Claims) bool {
	const name = "xms_edov"
	if yes, _, err := claims.Bool(name); err == nil {
		return yes
	}
	if text, _, err := claims.String(name); err == nil {
		return text == "1"
	}
	digits, _, err := claims.Digits(name)
	return err == nil && digits == "1"
}
