package standin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TokenRequest says what an id_token shall say. Audience and Subject are required; the zero value of everything else
// is left out of the token, or is what the provider usually writes. To mint a token without a member a real
// one always has, or with a wrong one, change it in Mutate.
type TokenRequest struct {
	Audience string // aud: the client id the token is for
	AZP      string // azp: the client id of the app, where it is another (Google)
	Subject  string

	Nonce     string    // as the server gave it
	NonceForm NonceForm // how the app hands it to the provider, who echoes it verbatim

	Email           string
	UnverifiedEmail bool
	PrivateEmail    bool // Apple: a relay address
	Name, Picture   string
	HostedDomain    string // Google: hd

	GivenName, FamilyName, Locale string
	Tenant                        string // Microsoft: tid; empty: MicrosoftTenant
	DomainVerified                bool   // Microsoft: xms_edov

	AMR []string // LINE: how they signed in; empty: pwd

	AuthTime  time.Time // zero: not sent, but for Apple: now
	IssuedAt  time.Time // zero: now
	ExpiresAt time.Time // zero: an hour after IssuedAt

	AccessToken       bool   // an access token comes along, and at_hash (Google on iOS)
	AuthorizationCode bool   // Apple: a code comes along, and c_hash
	CodeSubject       string // Apple: whom redeeming that code reveals; empty: Subject
	StringBooleans    bool   // Apple: "true" instead of true
	RealUserStatus    int    // Apple: 1 unknown, 2 likely real; 0 is left out

	secret string // LINE: sign for the web, with this

	// What a verifier must refuse.
	Forgery Forgery
	Header  func(header map[string]any) // changes the header before signing: jku, crit, typ
	Mutate  func(claims map[string]any) // changes the claims before signing
	Payload func(claims []byte) []byte  // changes the very bytes before signing: duplicate members, a BOM
	Token   func(compact string) string // changes the finished token
}

// NonceForm is how an app hands the server's nonce to its provider SDK. The server takes all three (C9).
type NonceForm int

// The forms.
const (
	NonceRaw       NonceForm = iota // as it is
	NonceHex                        // lowercase hex SHA-256: what most Apple samples do
	NonceBase64URL                  // base64url SHA-256
)

func (f NonceForm) of(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	switch f {
	case NonceHex:
		return hex.EncodeToString(sum[:])
	case NonceBase64URL:
		return base64.RawURLEncoding.EncodeToString(sum[:])
	case NonceRaw:
	}
	return nonce
}

// Credential is what a provider's SDK hands to the app.
type Credential struct {
	IDToken     string
	AccessToken string // Google on iOS, if asked for
	Code        string // Apple's authorization code: redeemable once, within five minutes
	User        string // Apple's name object as JSON: only the first time a subject meets an app
}

// Prompt is the moment the person signs in at a provider: the SDK's sheet. It gets the nonce of the server and
// returns what the SDK hands to the app.
type Prompt func(ctx context.Context, nonce string) (*Credential, error)

// Prompt returns the sheet on which this provider issues t, with the nonce it is given.
func (p *Provider) Prompt(t TokenRequest) Prompt {
	return func(_ context.Context, nonce string) (*Credential, error) {
		asked := t
		asked.Nonce = nonce
		return p.Issue(asked)
	}
}

// Issue mints an id_token and what comes with it.
func (p *Provider) Issue(t TokenRequest) (*Credential, error) {
	if t.Audience == "" || t.Subject == "" {
		return nil, errors.New("stand-in provider: a token needs Audience and Subject; Mutate can take them out")
	}
	if !p.signs() {
		return nil, fmt.Errorf("stand-in provider: %s signs no id_tokens for people", p.kind)
	}
	if t.AuthorizationCode && p.kind != Apple {
		return nil, fmt.Errorf("stand-in provider: %s gives no authorization code with a native id_token", p.kind)
	}
	c := &Credential{}
	if t.AccessToken {
		c.AccessToken = randomText(32)
	}
	if t.AuthorizationCode {
		c.Code = "c" + randomHex(16) + ".0." + randomText(16)
	}
	claims := p.claims(t, c)
	if t.Mutate != nil {
		t.Mutate(claims)
	}
	var err error
	if c.IDToken, err = p.sign(t, claims); err != nil {
		return nil, err
	}
	if p.kind == Apple {
		c.User = p.nameOnce(t)
		if c.Code != "" {
			p.apple.remember(c.Code, t, p.now())
		}
	}
	return c, nil
}

// claims are OIDC Core §2 and what each provider adds.
func (p *Provider) claims(t TokenRequest, c *Credential) map[string]any {
	issued := orTime(t.IssuedAt, p.now())
	claims := map[string]any{
		"iss": p.Issuer(), "aud": t.Audience, "sub": t.Subject,
		"iat": issued.Unix(), "exp": orTime(t.ExpiresAt, issued.Add(time.Hour)).Unix(),
	}
	for name, value := range map[string]string{"azp": t.AZP, "email": t.Email} {
		if value != "" {
			claims[name] = value
		}
	}
	if t.Nonce != "" {
		claims["nonce"] = t.NonceForm.of(t.Nonce)
	}
	if c.AccessToken != "" {
		claims["at_hash"] = leftHalf(c.AccessToken)
	}
	if c.Code != "" {
		claims["c_hash"] = leftHalf(c.Code)
	}
	if !t.AuthTime.IsZero() {
		claims["auth_time"] = t.AuthTime.Unix()
	}
	if p.kind == Apple {
		appleClaims(claims, t, issued)
		return claims
	}
	switch {
	case p.kind == Microsoft:
		microsoftClaims(claims, t)
	case p.kind == Facebook:
		claims["jti"] = randomText(16)
	case p.kind == LINE:
		claims["amr"] = orList(t.AMR, "pwd")
	case t.Email != "":
		claims["email_verified"] = !t.UnverifiedEmail
	}
	for name, value := range map[string]string{
		"name": t.Name, "picture": t.Picture, "hd": t.HostedDomain, "given_name": t.GivenName, "family_name": t.FamilyName, "locale": t.Locale,
	} {
		if value != "" {
			claims[name] = value
		}
	}
	return claims
}

// microsoftClaims: oid names the person in the tenant, sub another one for every app, and email is unproven unless
// xms_edov says otherwise.
func microsoftClaims(claims map[string]any, t TokenRequest) {
	tenant := cmp.Or(t.Tenant, MicrosoftTenant)
	pairwise := sha256.Sum256([]byte(t.Subject + "\x00" + t.Audience))
	claims["iss"], claims["tid"], claims["oid"], claims["ver"] = MicrosoftIssuer(tenant), tenant, t.Subject, "2.0"
	claims["sub"] = base64.RawURLEncoding.EncodeToString(pairwise[:])
	if t.Email != "" {
		claims["preferred_username"] = t.Email
	}
	if t.DomainVerified {
		claims["xms_edov"] = 1
	}
}

// leftHalf is at_hash and c_hash (OIDC Core §3.1.3.6, §3.3.2.11) for algorithms with SHA-256.
func leftHalf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// nameOnce is Apple's habit: the name comes at the first meeting of a subject and an app, and never again.
func (p *Provider) nameOnce(t TokenRequest) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	meeting := t.Subject + "\x00" + t.Audience
	if t.Name == "" || p.named[meeting] {
		return ""
	}
	p.named[meeting] = true
	first, last, _ := strings.Cut(t.Name, " ")
	user, err := json.Marshal(map[string]any{"name": map[string]string{"firstName": first, "lastName": last}})
	if err != nil {
		return ""
	}
	return string(user)
}

func orList(list []string, otherwise string) []string {
	if len(list) == 0 {
		return []string{otherwise}
	}
	return list
}

func orTime(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}
