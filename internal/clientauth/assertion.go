package clientauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// jwtBearer is the one client_assertion_type we know (RFC 7523 §2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// maxAssertionLife bounds how long an assertion may still be good, and with it how long it is remembered (CA05).
	maxAssertionLife = time.Hour
	// fastClock is how far the client's clock may be ahead of ours: FAPI 2.0 §5.3.2.1 wants 10 s accepted, and 60 s
	// refused. For exp there is no such allowance: a client that cannot know the time of its server asks for less.
	fastClock = 10 * time.Second
	maxJTI    = 256
)

// assertionPolicy: the type of its own is new (rfc7523bis), so JWT and none are taken as well.
var assertionPolicy = jose.Policy{Algs: AssertionAlgs(), OrTyp: "client-authentication+jwt"}

// AssertionAlgs lists the algorithms a client may sign assertions with, for metadata.
func AssertionAlgs() []jose.Alg {
	return []jose.Alg{jose.ES256, jose.PS256, jose.RS256, jose.EdDSA}
}

// The reasons, for the request event.
var (
	errAssertionType = errors.New("client_assertion_type is not that of a JWT")
	errNoAssertion   = errors.New("client_assertion_type without client_assertion")
	errOtherClient   = errors.New("client_id is not the assertion's iss")
	errSubject       = errors.New("iss and sub of the assertion are not both the client's id")
	errAudience      = errors.New("the assertion's aud is not our issuer alone")
	errExp           = errors.New("the assertion's exp is missing, past or more than an hour ahead")
	errEarly         = errors.New("the assertion's nbf or iat is in the future")
	errJTI           = errors.New("the assertion's jti is missing or too long")
	errReplayed      = errors.New("the assertion was used before")
)

// readAssertion reads whom an unverified assertion claims to be of, to choose the keys and for nothing else.
func readAssertion(c Credentials) (claim, error) {
	if c.AssertionType != jwtBearer {
		return claim{}, oauth.UnknownClient(errAssertionType)
	}
	if c.Assertion == "" {
		return claim{}, oauth.UnknownClient(errNoAssertion)
	}
	id, err := jose.PeekIssuer(c.Assertion)
	if err != nil {
		return claim{}, oauth.UnknownClient(err)
	}
	if c.ClientID != "" && c.ClientID != id { // RFC 7521 §4.2
		return claim{}, oauth.UnknownClient(errOtherClient)
	}
	return claim{id: id, secret: c.Assertion, method: domain.AuthPrivateKey}, nil
}

// judgeAssertion holds an assertion against the client it claims to be of (RFC 7523 §3, rfc7523bis). An *oauth.Error is
// a fault of ours, at which nobody failed to authenticate.
func (s *Service) judgeAssertion(ctx context.Context, c *domain.Client, claim claim) error {
	switch {
	case c == nil:
		return errUnknown
	case c.AuthMethod != domain.AuthPrivateKey:
		return errWrongMethod
	}
	// 1. Signed by a key of this client.
	claims, err := s.Verify(ctx, c, claim.secret, assertionPolicy)
	if err != nil {
		return err
	}
	// 2. By the client, about itself, for us and for now.
	if err := s.judgeParties(claims, c); err != nil {
		return err
	}
	now := s.now()
	expires, err := judgeTimes(claims, now)
	if err != nil {
		return err
	}
	// 3. For the first time, on any node. Last, so that nobody but the client can spend what is the client's.
	jti, ok, err := claims.String("jti")
	if err != nil || !ok || jti == "" || len(jti) > maxJTI {
		return errJTI
	}
	fresh, err := s.DB.SpendAssertion(ctx, assertionHash(c.ID, jti), expires, now)
	if err != nil {
		return oauth.Unavailable(fmt.Errorf("spend a client assertion: %w", err))
	}
	if !fresh {
		return errReplayed
	}
	return nil
}

func (s *Service) judgeParties(claims jose.Claims, c *domain.Client) error {
	iss, _, errIss := claims.String("iss")
	sub, _, errSub := claims.String("sub")
	if errIss != nil || errSub != nil || iss != c.ID || sub != c.ID {
		return errSubject
	}
	// A string and no array: an assertion for several servers could be passed on by one to the other (CA04).
	if aud, ok, err := claims.String("aud"); err == nil && ok && aud == s.Issuer {
		return nil
	}
	if !c.TakesTokenURL() {
		return errAudience
	}
	list, _, err := claims.Strings("aud")
	if err != nil || len(list) != 1 || (list[0] != s.Issuer && list[0] != s.TokenURL) {
		return errAudience
	}
	return nil
}

// judgeTimes returns when the assertion expires.
func judgeTimes(claims jose.Claims, now time.Time) (time.Time, error) {
	exp, ok, err := claims.Time("exp")
	if err != nil || !ok || !now.Before(exp) || exp.After(now.Add(maxAssertionLife)) {
		return time.Time{}, errExp
	}
	for _, name := range []string{"nbf", "iat"} {
		from, _, err := claims.Time(name) // absent is long ago
		if err != nil || from.After(now.Add(fastClock)) {
			return time.Time{}, errEarly
		}
	}
	return exp, nil
}

// assertionHash names an assertion among all single-use things.
func assertionHash(client, jti string) [32]byte {
	return sha256.Sum256([]byte("client assertion\x00" + client + "\x00" + jti))
}
