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
	microsoftOldBase   = "https://sts.windows.net/" // of issuers of version 1, which stand in idp still

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

// vouches tells whether the address of a token is its tenant's to give: the operator named the tenant, and the person is
// a member of it. Of a tenant that anybody may own, of personal accounts and of guests xms_edov says no more than that
// somebody could read a mail there once, and the address may be another person's since.
func (t *tenants) vouches(iss string, claims jose.Claims) bool {
	tid, ok := ofIssuer(iss)
	return ok && tid != personalTenant && slices.Contains(t.listed, tid) && isMember(tid, claims)
}

// isMember tells a tenant's own people from its guests, by both claims that may say so. acct is 0 for members; idp is
// who knows the person, and left out where that is the tenant. It is written as the issuer of either version.
func isMember(tid string, claims jose.Claims) bool {
	if claims.Has("acct") && digit(claims, "acct") != "0" {
		return false
	}
	idp, there, _ := claims.String("idp")
	return !there || idp == tenantIssuer(tid) || idp == microsoftOldBase+tid+"/"
}

// digit reads a claim that is written as a number or as a text, by the version of the token.
func digit(claims jose.Claims, name string) string {
	if text, _, err := claims.String(name); err == nil {
		return text
	}
	digits, _, _ := claims.Digits(name)
	return digits
}

// domainVerified reads xms_edov: whether the address was verified. That is what is shown of it, and no proof: see
// vouches. Without it any tenant's administrator may write any address (the "nOAuth" takeover).
func domainVerified(claims jose.Claims) bool {
	const name = "xms_edov"
	if yes, _, err := claims.Bool(name); err == nil {
		return yes
	}
	return digit(claims, name) == "1"
}
