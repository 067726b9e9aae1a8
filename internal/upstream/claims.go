package upstream

import (
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

const (
	maxAge             = 10 * time.Minute // by iat: our nonce lives no longer
	maxAgeWithoutNonce = 5 * time.Minute
	maxAhead           = 60 * time.Second // of iat, nbf and auth_time
	expLeeway          = 30 * time.Second
	maxSubject         = 255 // OIDC Core §2
	maxEmail           = 320
	maxName            = 255
	maxLocale          = 35 // BCP 47 §4.4.1
	maxPicture         = 2048
)

func refuse(cause error, format string, args ...any) error {
	return &Refusal{Description: fmt.Sprintf(format, args...), cause: cause}
}

// judge checks what a token of any sign-in must satisfy, and takes over what it says.
func (t *token) judge(e Expect) (*Subject, error) {
	p := t.provider
	iss, _, err := t.claims.String("iss")
	canonical, ours := p.Canonical(iss)
	if err != nil || !ours {
		return nil, refuse(err, "The id_token's issuer is not that of %s.", p.name)
	}
	if p.tenants != nil {
		if err := t.checkTenant(iss); err != nil {
			return nil, refuse(err, "The id_token's tenant (tid) is not the one of its issuer, or of the key that signed it.")
		}
	}
	s := &Subject{Provider: p.name, Issuer: canonical}
	if s.Audience, err = t.audience(e); err != nil {
		return nil, err
	}
	if s.IssuedAt, err = t.checkTimes(e); err != nil {
		return nil, err
	}
	if s.AuthTime, err = t.date("auth_time", e.Now); err != nil {
		return nil, err
	}
	if t.unattended() {
		s.AuthTime = time.Time{}
	}
	name := p.subjectClaim()
	if s.Subject, _, err = t.claims.String(name); err != nil || !soundSubject(s.Subject) {
		return nil, refuse(err, "The id_token's %s is missing or not a string of at most %d characters.", name, maxSubject)
	}
	p.describe(s, t.claims)
	return s, nil
}

// subjectClaim is what names the person: Microsoft's sub is another one for every app, its oid is the same for all.
func (p *Provider) subjectClaim() string {
	if p.kind == typeMicrosoft {
		return "oid"
	}
	return "sub"
}

func soundSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && !strings.ContainsFunc(s, unicode.IsControl)
}

// describe takes over what claims say of a person beside who it is.
func (p *Provider) describe(s *Subject, claims jose.Claims) {
	s.Email = information(claims, "email", maxEmail)
	s.Name = information(claims, "name", maxName)
	s.GivenName = information(claims, "given_name", maxName)
	s.FamilyName = information(claims, "family_name", maxName)
	s.Locale = information(claims, "locale", maxLocale)
	s.Picture = pictureURL(claims, "picture")
	if s.Email == "" {
		return
	}
	switch p.kind {
	case typeMicrosoft:
		s.EmailVerified = domainVerified(claims)
	case typeFacebook, typeLINE: // they know no such claim: whatever wrote one, it means nothing
	default:
		if verified, _, err := claims.Bool("email_verified"); err == nil {
			s.EmailVerified = verified
		}
	}
	s.ProvedEmail = p.provedEmail(s, claims)
}

// provedEmail is the address where the provider is its authority, and empty where it merely saw it verified once:
// Google for its own mail and for the domains it hosts, by the claim and not by what was asked for (ATTACKS ID16);
// Microsoft for the members of a tenant the operator named. Apple's may be relay addresses, which are another one for
// every team and no keys. Of the others nothing is known.
func (p *Provider) provedEmail(s *Subject, claims jose.Claims) string {
	normal, ok := domain.NormalEmail(s.Email)
	if !ok || !s.EmailVerified {
		return ""
	}
	switch p.kind {
	case typeMicrosoft:
		if p.tenants.vouches(s.Issuer, claims) {
			return normal
		}
	case typeGoogle:
		hosted, _, err := claims.String("hd")
		if err == nil && hosted != "" || strings.HasSuffix(normal, "@gmail.com") || strings.HasSuffix(normal, "@googlemail.com") {
			return normal
		}
	}
	return ""
}

// information returns a member nothing is decided by: what cannot be kept is left out, and nobody is kept out for it.
func information(claims jose.Claims, name string, maxBytes int) string {
	value, _, err := claims.String(name)
	if err != nil || len(value) > maxBytes || strings.ContainsFunc(value, unicode.IsControl) {
		return ""
	}
	return value
}

// pictureURL returns an address a page may show: https or nothing.
func pictureURL(claims jose.Claims, name string) string {
	value := information(claims, name, maxPicture)
	if !absolute(value) || !strings.HasPrefix(value, "https:") {
		return ""
	}
	return value
}

// audience checks aud and azp (OIDC Core §3.1.3.7 points 3 to 5): no audience that is not this client's, and with
// several of them an azp that is.
func (t *token) audience(e Expect) (string, error) {
	p := t.provider
	list, _, err := t.claims.Strings("aud")
	if err != nil || len(list) == 0 || slices.Contains(list, "") {
		return "", refuse(err, "The id_token has no audience.")
	}
	for _, aud := range list {
		if !slices.Contains(e.Audiences, aud) {
			return "", refuse(nil, "The id_token's audience is not one this client accepts for %s. Add it under providers.audiences of the client, "+
				"or let the app ask for a token for one that is listed there.", p.name)
		}
	}
	azp, hasAZP, err := t.claims.String("azp")
	if err != nil || hasAZP && azp == "" {
		return "", refuse(err, "The id_token's azp is not a string.")
	}
	allowed := e.AZP
	if len(allowed) == 0 {
		allowed = e.Audiences
	}
	// Without azp the one audience is the presenter (OIDC Core §2). Where apps are listed, that is none of them at a provider
	// that names its apps: Google leaves azp out only for the web client itself. Other providers may never send one.
	mustFit := len(list) > 1 || len(e.AZP) > 0 && (hasAZP || p.namesPresenter)
	if mustFit && !slices.Contains(allowed, azp) {
		return "", refuse(nil, "The app that asked %s for the id_token (its azp) is not one this client accepts. Add it under providers.azp of the client.", p.name)
	}
	return list[0], nil
}

// checkTimes checks exp, iat and nbf, and returns iat.
func (t *token) checkTimes(e Expect) (issued time.Time, err error) {
	exp, ok, err := t.claims.Time("exp")
	if err != nil || !ok {
		return issued, refuse(err, "The id_token's exp is missing or not a number of seconds.")
	}
	if !e.Now.Before(exp.Add(expLeeway)) {
		return issued, refuse(nil, "The id_token expired. Sign in with %s again and send the new one at once.", t.provider.name)
	}
	if issued, err = t.date("iat", e.Now); err != nil {
		return issued, err
	}
	if issued.IsZero() {
		return issued, refuse(nil, "The id_token's iat is missing.")
	}
	limit := maxAge
	if e.Nonce == "" {
		limit = maxAgeWithoutNonce
	}
	if e.Now.Sub(issued) > limit {
		return issued, refuse(nil, "The id_token was issued more than %v ago. Sign in with %s again and send the new one at once.", limit, t.provider.name)
	}
	_, err = t.date("nbf", e.Now)
	return issued, err
}

// date reads an optional date that must not lie ahead.
func (t *token) date(name string, now time.Time) (time.Time, error) {
	at, _, err := t.claims.Time(name)
	if err != nil {
		return time.Time{}, refuse(err, "The id_token's %s is not a number of seconds.", name)
	}
	if at.After(now.Add(maxAhead)) {
		return time.Time{}, refuse(nil, "The id_token's %s is in the future.", name)
	}
	return at, nil
}

// checkNonce: the provider carries our nonce as it was given, but the common app code for Apple gives it a hash of
// it (hex), and some SDK wrappers another spelling.
func (t *token) checkNonce(e Expect) error {
	got, there, err := t.claims.String("nonce")
	if err != nil {
		return refuse(err, "The id_token's nonce is not a string.")
	}
	if e.Nonce == "" && e.WithoutNonce {
		// Apple says where it could have carried one: then its absence is a sign of a stolen token.
		if supported, _, err := t.claims.Bool("nonce_supported"); there || supported || err != nil {
			return refuse(err, "The id_token carries a nonce, or could have. Ask POST /challenge for one, hand it to the SDK of %s and send it along.", t.provider.name)
		}
		return nil
	}
	if !there || got == "" || e.Nonce == "" {
		return refuse(nil, "The id_token carries no nonce. Ask POST /challenge for one and hand it to the SDK of %s before signing in.", t.provider.name)
	}
	matches := 0
	for _, spelling := range e.nonceSpellings() {
		matches |= subtle.ConstantTimeCompare([]byte(got), []byte(spelling))
	}
	if matches != 1 {
		return refuse(nil, "The id_token's nonce is not the one that was sent. Send the nonce of the same POST /challenge that was handed to the SDK of %s.", t.provider.name)
	}
	return nil
}

// nonceSpellings: a browser's nonce was ours from the address it was sent to, and went through no SDK.
func (e *Expect) nonceSpellings() []string {
	if e.exactNonce {
		return []string{e.Nonce}
	}
	sum := sha256.Sum256([]byte(e.Nonce))
	return []string{e.Nonce, hex.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:])}
}

// checkCodeHash holds c_hash against the authorization code (OIDC Core §3.3.2.11). A token without c_hash says nothing
// about a code. at_hash is not looked at: we never take the provider's access token.
func (t *token) checkCodeHash(e Expect) error {
	got, there, err := t.claims.String("c_hash")
	if err != nil {
		return refuse(err, "The id_token's c_hash is not a string.")
	}
	if !there {
		return nil
	}
	member := cmp.Or(e.CodeMember, "provider_code")
	if e.ProviderCode == "" {
		return refuse(nil, "The id_token belongs to an authorization code. Send that code as %s.", member)
	}
	if subtle.ConstantTimeCompare([]byte(got), []byte(codeHash(t.alg, e.ProviderCode))) != 1 {
		return refuse(nil, "The %s is not the authorization code that came with this id_token.", member)
	}
	return nil
}

// codeHash is the left half of the hash that belongs to alg; Ed25519's is SHA-512.
func codeHash(alg jose.Alg, code string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(code))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(code))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
