package upstream

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/jose"
)

const (
	maxCode        = 8 << 10
	maxAccessToken = 16 << 10
)

// Returned is what a browser brought to the callback. Whose trip its state is of, is for the caller to find.
type Returned struct {
	Code   string
	Error  string
	Issuer string // iss of RFC 9207
	User   string // Apple's unsigned JSON with the name, at the first sign-in only
}

// Redeemed is whom a trip brought back. The provider's access token was used once, if at all, and dropped.
type Redeemed struct {
	Subject      *Subject
	RefreshToken string // Apple's, to revoke when the account is deleted
	ClientID     string // ours there: Apple revokes only for the client it gave the token to
}

// Redeem ends a trip: the answer is the provider's, its code is exchanged for what says who the person is, and that is
// judged as strictly as an app's id_token. *Refusal: a verdict, or the person's or the provider's no. ErrUnavailable:
// the provider is down, or the operator's settings are not what it expects.
func (p *Provider) Redeem(ctx context.Context, t Trip, r Returned) (*Redeemed, error) {
	if err := p.checkTrip(t); err != nil {
		return nil, err
	}
	at, err := p.directory.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	// 1. From this provider, and an answer at all.
	if err := p.checkReturn(at, r); err != nil {
		return nil, err
	}
	// 2. The code, for tokens.
	body, err := p.exchange(ctx, at, t, r.Code)
	if err != nil {
		return nil, err
	}
	// 3. The tokens, for a person.
	out := &Redeemed{ClientID: p.client.id}
	if p.givesIDToken() {
		out.Subject, err = p.fromIDToken(ctx, at, t, r, body)
	} else {
		out.Subject, err = p.profile(ctx, at, body)
	}
	if err != nil {
		return nil, p.forPage(err)
	}
	if p.kind == typeApple {
		nameFrom(r.User, out.Subject)
		out.RefreshToken, _, err = body.String("refresh_token")
		if err != nil {
			return nil, fmt.Errorf("%w: the refresh token of %s: %w", ErrUnavailable, p.name, err)
		}
	}
	return out, nil
}

// forPage gives a verdict about a token a sentence for the person who waits.
func (p *Provider) forPage(err error) error {
	if !errors.Is(err, ErrToken) {
		return err
	}
	return refuse(err, "What %s said about you could not be verified. Please sign in again.", p.title())
}

// title is what a person calls the provider.
func (p *Provider) title() string {
	return cmp.Or(Title(p.kind), p.name)
}

// checkReturn holds iss against the provider before anything else is believed (RFC 9207 §2.4): an answer of another
// server must not make us send that server's code here, or this one's there.
func (p *Provider) checkReturn(at endpoints, r Returned) error {
	if r.Issuer == "" && at.namesItself {
		return refuse(errors.New("no iss"), "The answer does not say that it comes from %s. Please sign in again.", p.title())
	}
	if _, ours := p.Canonical(r.Issuer); r.Issuer != "" && !ours {
		return refuse(errors.New("another iss"), "The answer does not come from %s. Please sign in again.", p.title())
	}
	switch {
	case r.Error != "" && r.Code != "":
		return refuse(errors.New("code and error"), "The answer of %s contradicts itself. Please sign in again.", p.title())
	case r.Error != "":
		return p.said(r.Error)
	case r.Code == "" || len(r.Code) > maxCode:
		return refuse(errors.New("no code, or one too long"), "The answer of %s is not complete. Please sign in again.", p.title())
	}
	return nil
}

// said sorts an error the provider sent with the browser (RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6, apple.md section 4).
func (p *Provider) said(code string) error {
	cause := fmt.Errorf("the provider answers %.64q", code)
	switch code {
	case "access_denied", "user_cancelled_authorize":
		return &Refusal{Description: fmt.Sprintf("The sign-in with %s was cancelled.", p.title()), Cancelled: true, cause: cause}
	case "server_error", "temporarily_unavailable":
		return fmt.Errorf("%w: %w", ErrUnavailable, cause)
	}
	return refuse(cause, "The sign-in with %s did not succeed. Please try again.", p.title())
}

// exchange redeems the code (RFC 6749 §4.1.3).
func (p *Provider) exchange(ctx context.Context, at endpoints, t Trip, code string) (jose.Claims, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {t.RedirectURI}}
	if !p.client.withoutPKCE {
		form.Set("code_verifier", t.Verifier)
	}
	answer, err := p.postToken(ctx, at, form)
	if err != nil {
		return jose.Claims{}, fmt.Errorf("%w: redeem a code: %w", ErrUnavailable, err)
	}
	body, err := jose.ParseObject(answer.Body)
	if err != nil {
		return jose.Claims{}, fmt.Errorf("%w: redeem a code: status %d: %w", ErrUnavailable, answer.Status, err)
	}
	// GitHub says what is wrong with status 200.
	if answer.Status != http.StatusOK || body.Has("error") {
		return jose.Claims{}, p.exchangeRefusal(answer.Status, body)
	}
	return body, nil
}

// postToken says who we are as the provider wants to hear it (RFC 6749 §2.3.1).
func (p *Provider) postToken(ctx context.Context, at endpoints, form url.Values) (*fetch.Response, error) {
	if at.basic {
		pair := url.QueryEscape(p.client.id) + ":" + url.QueryEscape(p.client.secret)
		return p.fetch.PostFormAs(ctx, at.token, "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)), form)
	}
	secret := p.client.secret
	if p.apple != nil {
		var err error
		if secret, err = p.apple.secret(p.client.id, p.now()); err != nil {
			return nil, err
		}
	}
	form.Set("client_id", p.client.id)
	form.Set("client_secret", secret)
	return p.fetch.PostForm(ctx, at.token, form)
}

// exchangeRefusal tells a code that is good for nothing from what the operator must mend, or time will.
func (p *Provider) exchangeRefusal(status int, body jose.Claims) error {
	if p.kind == typeFacebook {
		return p.graphRefusal(status, body)
	}
	code, _, err := body.String("error")
	if err != nil {
		return fmt.Errorf("%w: redeem a code: status %d: %w", ErrUnavailable, status, err)
	}
	cause := fmt.Errorf("redeem a code: status %d, error %.64q", status, code)
	spent := slices.Contains([]string{"invalid_grant", "bad_verification_code"}, code) // the second is GitHub's
	if spent && status < http.StatusInternalServerError {
		return refuse(cause, "The sign-in with %s took too long, or was used already. Please sign in again.", p.title())
	}
	if code == "invalid_client" || code == "incorrect_client_credentials" {
		return fmt.Errorf("%w: %w: check the client id and the secret, or Apple's key", ErrUnavailable, cause)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// fromIDToken judges the id_token of the answer: for us, for this trip.
func (p *Provider) fromIDToken(ctx context.Context, at endpoints, t Trip, r Returned, body jose.Claims) (*Subject, error) {
	raw, _, err := body.String("id_token")
	if err != nil || raw == "" {
		return nil, fmt.Errorf("%w: %s answered without id_token: does its client ask for openid?", ErrUnavailable, p.name)
	}
	e := Expect{
		Audiences: []string{p.client.id}, Nonce: t.Nonce, exactNonce: true,
		ProviderCode: r.Code, CodeMember: "code", Now: p.now(),
	}
	opened, err := p.openRedeemed(ctx, raw)
	if err != nil {
		return nil, err
	}
	s, err := opened.hold(e)
	if err != nil {
		return nil, err
	}
	if canonical, _ := p.Canonical(r.Issuer); r.Issuer != "" && canonical != s.Issuer {
		return nil, refuse(nil, "The id_token's issuer is not the one the answer came from.")
	}
	if err := p.complete(ctx, at, s, body); err != nil {
		return nil, err
	}
	return s, nil
}

// accessToken is used once, to ask who somebody is.
func accessToken(body jose.Claims) (string, error) {
	kind, _, err := body.String("token_type")
	if err != nil || !strings.EqualFold(kind, "Bearer") {
		return "", errors.New("its token is not of type Bearer")
	}
	token, _, err := body.String("access_token")
	if err != nil || token == "" || len(token) > maxAccessToken || strings.ContainsFunc(token, notToken) {
		return "", errors.New("its access token is missing or none")
	}
	return token, nil
}

// notToken is what may not stand in a header's credentials.
func notToken(r rune) bool { return r <= ' ' || r > '~' }
