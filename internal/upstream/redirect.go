package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/oauth"
)

// Trip is one browser's way to the provider and back. The caller keeps it, sealed, until the browser returns: what is
// redeemed is held against the very trip that began.
type Trip struct {
	RedirectURI string
	State       string
	Nonce       string
	Verifier    string // PKCE, RFC 7636 §4.1

	// What our own client asked for; passed on where the provider understands it.
	Prompt    []string
	MaxAge    *int64 // seconds
	LoginHint string
	UILocales []string
}

// client is what we are at the provider.
type client struct {
	id, secret  string
	scopes      []string
	withoutPKCE bool
}

func newClient(s Settings) client {
	c := client{id: s.ClientID, secret: s.ClientSecret, scopes: slices.Clone(s.Scopes), withoutPKCE: s.WithoutPKCE}
	if len(c.scopes) == 0 {
		c.scopes = map[string][]string{
			typeGoogle: {"openid", "email", "profile"}, typeMicrosoft: {"openid", "email", "profile"}, typeOIDC: {"openid", "email", "profile"},
			typeApple: {"name", "email"}, typeGitHub: {"read:user", "user:email"}, typeFacebook: {"public_profile", "email"},
			// LINE gives addresses only to channels that applied for it.
			typeLINE: {"openid", "profile"}, typeDiscord: {"identify", "email"}, typeGitLab: {"openid", "email", "profile"},
		}[s.Type]
	}
	return c
}

// Redirects tells whether the provider has what a trip by redirect needs: a client of ours, and its secret.
func (p *Provider) Redirects() bool {
	if p.kind == typeApple {
		return p.client.id != "" && p.apple != nil
	}
	return p.client.id != "" && p.client.secret != ""
}

// givesIDToken tells whether a trip ends with an id_token, and not with a question who somebody is.
func (p *Provider) givesIDToken() bool { return p.keys != nil && p.kind != typeFacebook }

// FormPost tells whether the browser comes back with a POST from the provider's site, without our SameSite=Lax cookies:
// Apple does, wherever it is asked for a name or an address.
func (p *Provider) FormPost() bool { return p.kind == typeApple }

// ProvesAuthTime tells whether the provider can be asked to sign the person in anew, and says when it did. Microsoft
// takes the question, but answers it only for clients registered to be told auth_time: it is not counted on. LINE's and
// GitLab's answer is taken where it comes; that they ask the person for it is not documented well enough to promise it.
func (p *Provider) ProvesAuthTime() bool { return p.kind == typeOIDC }

// Known tells whether AuthorizeURL needs to ask nobody.
func (p *Provider) Known() bool { return p.directory.known() }

// AuthorizeURL returns where to send the browser. ErrUnavailable: the provider's endpoints cannot be had right now.
func (p *Provider) AuthorizeURL(ctx context.Context, t Trip) (string, error) {
	if err := p.checkTrip(t); err != nil {
		return "", err
	}
	at, err := p.directory.look(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.name, err)
	}
	u, err := url.Parse(at.authorize)
	if err != nil {
		return "", fmt.Errorf("%s: the URL to authorize: %w", p.name, err)
	}
	q := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": p.client.id, "redirect_uri": t.RedirectURI, "state": t.State,
		"scope": strings.Join(p.client.scopes, " "),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if !p.client.withoutPKCE {
		q.Set("code_challenge", oauth.Challenge(t.Verifier))
		q.Set("code_challenge_method", oauth.MethodS256)
	}
	if p.givesIDToken() {
		q.Set("nonce", t.Nonce)
	}
	if p.FormPost() {
		q.Set("response_mode", "form_post")
	}
	p.passOn(q, t)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// checkTrip: a trip without one of its secrets would be open to whoever meets its answer. It is a mistake of ours.
func (p *Provider) checkTrip(t Trip) error {
	switch {
	case !p.Redirects():
		return fmt.Errorf("%s has no client of ours to sign in by redirect", p.name)
	case t.RedirectURI == "" || t.State == "" || t.Nonce == "":
		return errors.New("a trip to a provider needs a redirect URI, a state and a nonce")
	case !oauth.VerifierFits(t.Verifier, oauth.Challenge(t.Verifier)):
		return errors.New("a trip to a provider needs a verifier of RFC 7636")
	}
	return nil
}

// passOn tells the provider what our client asked for, in the words it knows. prompt=none and consent are ours to
// answer.
func (p *Provider) passOn(q url.Values, t Trip) {
	again := t.MaxAge != nil || slices.Contains(t.Prompt, "login")
	choose := slices.Contains(t.Prompt, "select_account")
	var prompt []string
	switch p.kind {
	case typeOIDC:
		if slices.Contains(t.Prompt, "login") {
			prompt = append(prompt, "login")
		}
		if choose {
			prompt = append(prompt, "select_account")
		}
		if t.MaxAge != nil {
			q.Set("max_age", strconv.FormatInt(*t.MaxAge, 10))
		}
		if len(t.UILocales) > 0 {
			q.Set("ui_locales", strings.Join(t.UILocales, " "))
		}
	case typeLINE:
		for name, value := range lineWords(t) {
			q.Set(name, value)
		}
		if len(t.UILocales) > 0 {
			q.Set("ui_locales", strings.Join(t.UILocales, " "))
		}
	case typeGoogle, typeMicrosoft, typeGitHub:
		if again || choose {
			prompt = []string{"select_account"}
		}
	}
	if len(prompt) > 0 {
		q.Set("prompt", strings.Join(prompt, " "))
	}
	if t.LoginHint != "" && (p.kind == typeOIDC || p.kind == typeGoogle || p.kind == typeMicrosoft) {
		q.Set("login_hint", t.LoginHint)
	}
}
