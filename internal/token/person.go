package token

import (
	"cmp"
	"context"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Person says whose claims are wanted, and which.
type Person struct {
	AccountID  domain.AccountID
	IdentityID domain.IdentityID // that signed in; its e-mail goes before those of others
	Scope      []string
	Asked      []string // one by one (OIDC Core §5.5)
}

// PersonClaims is what a client learns of the person beside `sub`: the claims of the scopes it was granted and those it
// asked for one by one. A claim without a value is left out (OIDC Core §5.3.2). The map may be nil.
func (s *Service) PersonClaims(ctx context.Context, p Person) (map[string]any, error) {
	wanted := func(claim string) bool {
		scope := domain.ClaimScope(claim)
		return scope != "" && (slices.Contains(p.Scope, scope) || slices.Contains(p.Asked, claim))
	}
	if !slices.ContainsFunc(personScopes, func(s string) bool { return slices.Contains(p.Scope, s) }) &&
		!slices.ContainsFunc(p.Asked, wanted) {
		return nil, nil
	}
	row, err := s.DB.Profile(ctx, p.AccountID)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	identities, err := s.DB.Identities(ctx, p.AccountID)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	claims := describePerson(row, identities, p.IdentityID)
	for name := range claims {
		if !wanted(name) {
			delete(claims, name)
		}
	}
	return claims, nil
}

var personScopes = []string{oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopePhone, oauth.ScopeAddress}

// describePerson is everything there is to say.
func describePerson(row *store.ProfileRow, identities []domain.Identity, with domain.IdentityID) map[string]any {
	d := &row.Profile.Details
	claims := map[string]any{}
	for name, value := range map[string]string{
		"name": d.Name, "family_name": d.FamilyName, "given_name": d.GivenName, "middle_name": d.MiddleName, "nickname": d.Nickname,
		"preferred_username": d.PreferredUsername, "profile": d.Page, "picture": d.Picture, "website": d.Website,
		"gender": d.Gender, "birthdate": d.Birthdate, "zoneinfo": d.ZoneInfo, "locale": d.Locale, "phone_number": d.PhoneNumber,
	} {
		if value != "" {
			claims[name] = value
		}
	}
	updated := row.Profile.UpdatedAt
	if updated.IsZero() { // nobody has written it: what a provider said is better than nothing
		updated = row.CreatedAt
		if name := identityName(identities, with); d.Name == "" && name != "" {
			claims["name"] = name
		}
	}
	claims["updated_at"] = updated.Unix()
	if d.PhoneNumber != "" {
		claims["phone_number_verified"] = row.Profile.PhoneNumberVerified
	}
	if d.Address != (domain.Address{}) {
		claims["address"] = d.Address
	}
	if i := identityEmail(identities, with); i != nil {
		claims["email"], claims["email_verified"] = i.Email, i.EmailVerified
	}
	return claims
}

// identityEmail finds the identity whose address is told: the one that signed in, then the oldest with a verified one,
// then the oldest with any; nil: there is none.
func identityEmail(identities []domain.Identity, with domain.IdentityID) *domain.Identity {
	var best *domain.Identity
	for n := range identities {
		i := &identities[n]
		switch {
		case i.Email == "":
		case i.ID == with:
			return i
		case best == nil, i.EmailVerified && !best.EmailVerified:
			best = i
		}
	}
	return best
}

func identityName(identities []domain.Identity, with domain.IdentityID) (name string) {
	for _, i := range identities {
		if i.ID == with && i.Name != "" {
			return i.Name
		}
		name = cmp.Or(name, i.Name)
	}
	return name
}
