package clientmeta

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

var errNoKey = errors.New("no key of the statement's issuer fits")

// fastClock is how far the clock of an issuer of statements may be ahead of ours.
const fastClock = time.Minute

// Endorse holds a software statement against those whose word is taken, and lets what it says stand before what the
// client says itself (RFC 7591 §2.3). Without a statement it does nothing. Errors: unapproved_software_statement where
// nobody's is taken, invalid_software_statement.
func (t *Terms) Endorse(ctx context.Context, m *Metadata, now time.Time) error {
	if m.Statement == "" {
		return nil
	}
	if len(t.Statements) == 0 {
		return oauth.E(oauth.UnapprovedStatement, "This server takes no software statements.")
	}
	invalid := oauth.E(oauth.InvalidStatement, "The software statement is not signed by an issuer that is trusted here, or not good now.")
	issuer, err := jose.PeekIssuer(m.Statement)
	if err != nil {
		return invalid.Because(err)
	}
	i := slices.IndexFunc(t.Statements, func(s StatementIssuer) bool { return s.Issuer == issuer })
	if i < 0 {
		return invalid.Because(errors.New("unknown issuer"))
	}
	claims, err := verify(ctx, m.Statement, t.Statements[i].Keys)
	if err != nil {
		return invalid.Because(err)
	}
	if err := judgeTimes(claims, now); err != nil {
		return invalid.Because(err)
	}
	return m.overrule()
}

func judgeTimes(claims jose.Claims, now time.Time) error {
	exp, has, err := claims.Time("exp")
	if err != nil || (has && !now.Before(exp)) {
		return errors.New("the statement's exp is past, or no time")
	}
	for _, name := range []string{"nbf", "iat"} {
		from, _, err := claims.Time(name)
		if err != nil || from.After(now.Add(fastClock)) {
			return errors.New("the statement's " + name + " is in the future, or no time")
		}
	}
	return nil
}

// verify tries each key that fits.
func verify(ctx context.Context, raw string, keys []jose.PublicKey) (jose.Claims, error) {
	err := errNoKey
	for _, k := range keys {
		var claims jose.Claims
		claims, _, err = jose.Verify(ctx, raw, jose.Policy{Algs: []jose.Alg{jose.ES256, jose.PS256, jose.RS256, jose.EdDSA}},
			func(_ context.Context, h jose.Header) (crypto.PublicKey, error) {
				if !k.Fits(h.Alg) || (h.Kid != "" && k.Kid != "" && h.Kid != k.Kid) {
					return nil, errNoKey
				}
				return k.Key, nil
			})
		if err == nil {
			return claims, nil
		}
	}
	return jose.Claims{}, err
}

// overrule reads the verified statement's members over the client's own.
func (m *Metadata) overrule() error {
	statement := m.Statement
	parts := strings.Split(statement, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err // it was verified
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil {
		return err
	}
	if _, said := members["jwks"]; said { // of the two, what the statement has
		m.JWKSURI = ""
	}
	if _, said := members["jwks_uri"]; said {
		m.JWKS = nil
	}
	if err := m.read(members); err != nil {
		return oauth.E(oauth.InvalidStatement, "A member of the software statement has the wrong JSON type.").Because(err)
	}
	m.Statement = statement
	return nil
}
