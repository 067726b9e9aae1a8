package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/oauth"
)

// introspector asks the issuer whether a token's session lives (RFC 7662). Nothing is remembered: an answer is true
// when it is given and no longer.
type introspector struct {
	url, id, secret string
	client          *http.Client
}

const maxIntrospection = 64 << 10

func (i *introspector) ask(ctx context.Context, token string) *Error {
	active, err := i.active(ctx, token)
	switch {
	case err != nil:
		return unavailable("The issuer cannot be asked about the access token right now. Send the request again.", err)
	case !active:
		return unauthorized(oauth.InvalidToken, "The session of this access token has ended. Refresh, or sign in again.")
	}
	return nil
}

func (i *introspector) active(ctx context.Context, token string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url, strings.NewReader(form.Encode()))
	if err != nil {
		return false, fmt.Errorf("introspect: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(i.id), url.QueryEscape(i.secret)) // RFC 6749 §2.3.1
	resp, err := i.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("introspect: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("introspect: %s answered %s; check ResourceID and ResourceSecret", i.url, resp.Status)
	}
	var answer struct {
		Active *bool `json:"active"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxIntrospection)).Decode(&answer); err != nil {
		return false, fmt.Errorf("introspect: read the answer: %w", err)
	}
	if answer.Active == nil {
		return false, fmt.Errorf("introspect: the answer of %s has no member active", i.url)
	}
	return *answer.Active, nil
}
