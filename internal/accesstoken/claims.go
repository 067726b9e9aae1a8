package accesstoken

import (
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// thumbprintLength is that of a base64url SHA-256 (RFC 7638, RFC 8705 §3.1).
const thumbprintLength = 43

// read takes the claims of RFC 9068 §2.2 over, each in its type; aud is judged by the Checker.
func read(claims jose.Claims) (*Token, error) {
	t := &Token{}
	for name, into := range map[string]*string{
		"iss": &t.Issuer, "sub": &t.Subject, "client_id": &t.ClientID, "jti": &t.JTI,
	} {
		value, _, err := claims.String(name)
		if err != nil || value == "" {
			return nil, invalid("%s is missing or no string", name)
		}
		*into = value
	}
	if len(t.JTI) > maxJTIBytes {
		return nil, invalid("jti is longer than %d bytes", maxJTIBytes)
	}
	for name, into := range map[string]*time.Time{"exp": &t.ExpiresAt, "iat": &t.IssuedAt} {
		value, ok, err := claims.Seconds(name)
		if err != nil || !ok {
			return nil, invalid("%s is missing or no number of seconds", name)
		}
		*into = value
	}
	if err := t.readOptional(claims); err != nil {
		return nil, err
	}
	if err := t.readConfirmation(claims); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Token) readOptional(claims jose.Claims) (err error) {
	for name, into := range map[string]*string{"sid": &t.SessionID, "acr": &t.ACR} {
		if *into, _, err = claims.String(name); err != nil {
			return invalid("%w", err)
		}
	}
	if t.AuthTime, _, err = claims.Seconds("auth_time"); err != nil {
		return invalid("%w", err)
	}
	if t.AMR, _, err = claims.Strings("amr"); err != nil {
		return invalid("%w", err)
	}
	if t.Details, _, err = claims.ObjectsJSON("authorization_details"); err != nil {
		return invalid("%w", err)
	}
	scope, _, err := claims.String("scope")
	if err != nil {
		return invalid("%w", err)
	}
	var ok bool
	if t.Scope, ok = oauth.ParseScope(scope); !ok {
		return invalid("scope is no list of scopes")
	}
	return nil
}

// readConfirmation reads cnf: a DPoP key (RFC 9449 §6.1), a certificate (RFC 8705 §3.1) or both. A token bound in a way we
// do not know must not pass for one that is bound to less.
func (t *Token) readConfirmation(claims jose.Claims) error {
	cnf, ok, err := claims.Object("cnf")
	if err != nil {
		return invalid("%w", err)
	}
	if !ok {
		return nil
	}
	known := 0
	for name, into := range map[string]*string{"jkt": &t.JKT, "x5t#S256": &t.X5T} {
		value, there, err := cnf.String(name)
		if err != nil || (there && len(value) != thumbprintLength) {
			return invalid("%s of cnf is no thumbprint", name)
		}
		if there {
			*into = value
			known++
		}
	}
	if known == 0 || cnf.Len() != known {
		return invalid("cnf has a binding that is not known here, or none")
	}
	return nil
}
