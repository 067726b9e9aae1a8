// Package logouttoken reads what OIDC Back-Channel Logout 1.0 brings: whose session is over. go-oidc checks a JWT's
// signature, issuer, audience and time; the rest is here.
package logouttoken

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

const event = "http://schemas.openid.net/event/backchannel-logout"

// Read returns whose session is over: the sub and the sid of the ID token it began with. The verifier is that of the ID
// tokens. A token that comes a second time says nothing new, so none is remembered.
func Read(r *http.Request, verifier *oidc.IDTokenVerifier) (sub, sid string, err error) {
	r.Body = http.MaxBytesReader(nil, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		return "", "", err
	}
	return verify(r.Context(), r.PostForm.Get("logout_token"), verifier)
}

// verify makes the checks of §2.6. The type and the event keep an ID token from being taken for a logout token.
func verify(ctx context.Context, raw string, verifier *oidc.IDTokenVerifier) (sub, sid string, err error) {
	head, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Typ string `json:"typ"`
	}
	if err := errors.Join(err, json.Unmarshal(text, &header)); err != nil {
		return "", "", err
	}
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return "", "", err
	}
	var claims struct {
		SID    string                     `json:"sid"`
		Nonce  *string                    `json:"nonce"`
		Events map[string]json.RawMessage `json:"events"`
	}
	if err := token.Claims(&claims); err != nil {
		return "", "", err
	}
	if _, ok := claims.Events[event]; !ok || claims.Nonce != nil || header.Typ != "logout+jwt" || claims.SID == "" {
		return "", "", errors.New("not a logout token")
	}
	return token.Subject, claims.SID, nil
}
