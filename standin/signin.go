package standin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeIDToken        = "urn:ietf:params:oauth:token-type:id_token"
)

// repeatFor is how long the repeat of a sign-in returns the same session (C12).
const repeatFor = 60 * time.Second

// maxStarts bounds how often one SignIn starts over (C13).
const maxStarts = 3

// Purposes of a challenge.
const (
	forSignIn = ""
	forLink   = "link"
	forReauth = "reauth"
)

// SignIn signs in: challenge, the provider's prompt, token exchange (C8 to C14). It repeats the exchange while there
// is no answer and starts over, with another prompt, when the repeat came too late. Errors: ErrSignedIn, *Refused,
// ErrUnreachable, ErrKilled, ErrDiskFull, or what the prompt returned.
func (p *Phone) SignIn(ctx context.Context, prompt Prompt) (*Tokens, error) {
	return p.alone(ctx, func(ctx context.Context, by *process) (*Tokens, error) {
		if p.SignedIn() {
			return nil, ErrSignedIn
		}
		var refused error
		for range maxStarts {
			form, err := p.askPerson(ctx, by, prompt)
			if err != nil {
				return nil, err
			}
			tokens, startOver, err := p.finishSignIn(ctx, by, form)
			if !startOver {
				return tokens, err
			}
			refused = err
		}
		return nil, refused
	})
}

// Resume finishes a sign-in that a killed app left in storage (C10, C12). Refused or not, nothing is pending after an
// answer. Errors: ErrNothingPending and those of SignIn.
func (p *Phone) Resume(ctx context.Context) (*Tokens, error) {
	return p.alone(ctx, func(ctx context.Context, by *process) (*Tokens, error) {
		form := p.device.disk.read().Pending
		if form == nil {
			return nil, ErrNothingPending
		}
		tokens, _, err := p.finishSignIn(ctx, by, form)
		return tokens, err
	})
}

// Challenge asks for a nonce (C8): for a sign-in with an empty purpose, or "link" or "reauth".
func (p *Phone) Challenge(ctx context.Context, purpose string) (string, error) {
	by, ctx, done, err := p.running(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return p.challenge(ctx, by, purpose)
}

func (p *Phone) challenge(ctx context.Context, by *process, purpose string) (string, error) {
	form := url.Values{"client_id": {p.config.ClientID}}
	if p.device.key != nil {
		form.Set("dpop_jkt", p.JKT())
	}
	if purpose != "" {
		form.Set("purpose", purpose)
	}
	m := p.form(Challenging, "/challenge", form)
	m.noProof = true // it names its key; it need not prove it
	a, _, err := p.settle(ctx, by, m, p.config.Patience)
	if err != nil {
		return "", err
	}
	var answer struct {
		Nonce string `json:"nonce"`
	}
	if a.Status != http.StatusOK || a.Decode(&answer) != nil || answer.Nonce == "" {
		return "", &Refused{Answer: a}
	}
	return answer.Nonce, nil
}

// askPerson gets a nonce, shows the provider's prompt and stores the request that follows from it (C8 to C11).
func (p *Phone) askPerson(ctx context.Context, by *process, prompt Prompt) (url.Values, error) {
	nonce, err := p.challenge(ctx, by, forSignIn)
	if err != nil {
		return nil, err
	}
	credential, err := prompt(ctx, nonce) // C9
	if err != nil {
		return nil, by.orKilled(err)
	}
	form := p.signInForm(nonce, credential)
	err = p.device.disk.write(by, func(r *record) { // C10
		if credential.User != "" {
			r.AppleUser = credential.User
		}
		if credential.Code != "" && r.AppleUser != "" {
			form.Set("user", r.AppleUser)
		}
		r.Pending = maps.Clone(form)
	})
	return form, err
}

// signInForm is C11.
func (p *Phone) signInForm(nonce string, c *Credential) url.Values {
	form := url.Values{
		"grant_type": {grantTokenExchange}, "client_id": {p.config.ClientID},
		"subject_token": {c.IDToken}, "subject_token_type": {typeIDToken}, "nonce": {nonce},
		"resource": p.config.Resources,
	}
	for name, value := range map[string]string{
		"scope": p.config.Scope, "device_name": p.config.DeviceName, "provider_code": c.Code,
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return form
}

// finishSignIn sends a stored sign-in until it is answered (C12) and stores what it brings (C14). startOver tells that
// the refusal may only mean that an earlier attempt was heard and this one came too late (C13, C33).
func (p *Phone) finishSignIn(ctx context.Context, by *process, form url.Values) (t *Tokens, startOver bool, err error) {
	a, doubt, err := p.settle(ctx, by, p.form(SigningIn, "/token", form), min(repeatFor, p.config.Patience))
	if err != nil {
		return nil, false, err // still pending: Resume may finish it
	}
	if a.Tokens == nil {
		if err := p.device.disk.write(by, func(r *record) { r.Pending = nil }); err != nil {
			return nil, false, err
		}
		return nil, doubt && a.Error == codeInvalidRequest, &Refused{Answer: a}
	}
	err = p.device.disk.write(by, func(r *record) {
		r.RefreshToken, r.Pending, r.AppleUser = a.Tokens.RefreshToken, nil, ""
	})
	if err != nil {
		return nil, false, fmt.Errorf("store the session: %w", err)
	}
	p.tell(Event{Act: SigningIn, What: Stored, Received: a.Tokens.RefreshToken})
	by.keepAccessToken("", *a.Tokens, p.config.Now())
	return a.Tokens, false, nil
}

// alone runs an act under the lock that all processes of the app see (C18).
func (p *Phone) alone(ctx context.Context, act func(context.Context, *process) (*Tokens, error)) (*Tokens, error) {
	by, ctx, done, err := p.running(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	select {
	case p.device.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, by.orKilled(fmt.Errorf("%w: waiting for another process: %w", ErrUnreachable, context.Cause(ctx)))
	}
	defer func() { <-p.device.lock }()
	return act(ctx, by)
}
