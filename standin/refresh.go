package standin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Refresh gets a new access token for the default resource (C17 to C23). Callers that waited while another one in
// this process did the same get what that one got. Errors: ErrSignedOut, *Refused, ErrUnreachable, ErrKilled,
// ErrDiskFull.
func (p *Phone) Refresh(ctx context.Context) (*Tokens, error) { return p.obtain(ctx, "") }

// AccessToken returns an access token for a resource of the session ("" is the default one): the one in memory, or a
// new one if that has too little left (C17, C25).
func (p *Phone) AccessToken(ctx context.Context, resource string) (*Tokens, error) {
	by, _, done, err := p.running(ctx)
	if err != nil {
		return nil, err
	}
	done()
	if t, ok := by.accessToken(resource, p.config.Now()); ok {
		return &t, nil
	}
	return p.obtain(ctx, resource)
}

func (p *Phone) obtain(ctx context.Context, resource string) (*Tokens, error) {
	before, _, done, err := p.running(ctx)
	if err != nil {
		return nil, err
	}
	done()
	times := before.times(resource)
	return p.alone(ctx, func(ctx context.Context, by *process) (*Tokens, error) {
		if t, ok := by.accessToken(resource, p.config.Now()); ok && by == before && by.times(resource) > times {
			return &t, nil // somebody was faster while this one waited
		}
		return p.refresh(ctx, by, resource)
	})
}

// refresh is C19 to C23; the lock is held.
func (p *Phone) refresh(ctx context.Context, by *process, resource string) (*Tokens, error) {
	if !p.SignedIn() {
		return nil, ErrSignedOut
	}
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {p.config.ClientID}}
	if resource != "" {
		form.Set("resource", resource)
	}
	m := p.form(Refreshing, "/token", form)
	var sent string
	m.body = func() ([]byte, string) {
		sent = p.RefreshToken() // what storage holds now (C18, C21)
		form.Set("refresh_token", sent)
		return []byte(form.Encode()), sent
	}
	a, _, err := p.settle(ctx, by, m, p.config.Patience)
	switch {
	case err != nil:
		return nil, err
	case a.Tokens != nil:
		return p.keep(by, resource, sent, a.Tokens)
	case a.Status == http.StatusBadRequest && a.Error == codeInvalidGrant:
		return nil, p.signedOut(by, sent, a)
	}
	return nil, &Refused{Answer: a} // C23: the refresh token stays
}

// keep is C16: the new refresh token is in storage before anything else is done with the answer.
func (p *Phone) keep(by *process, resource, sent string, t *Tokens) (*Tokens, error) {
	err := p.device.disk.write(by, func(r *record) {
		if r.RefreshToken == sent && t.RefreshToken != "" {
			r.RefreshToken = t.RefreshToken
		}
	})
	if err != nil {
		return nil, fmt.Errorf("store the new refresh token: %w", err)
	}
	p.tell(Event{Act: Refreshing, What: Stored, Presented: sent, Received: t.RefreshToken})
	by.keepAccessToken(resource, *t, p.config.Now())
	return t, nil
}

// signedOut is C22.
func (p *Phone) signedOut(by *process, sent string, a *Answer) error {
	err := p.device.disk.write(by, func(r *record) {
		if r.RefreshToken == sent {
			r.RefreshToken = ""
		}
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	by.forgetAccessTokens()
	p.tell(Event{Act: Refreshing, What: SignedOff, Presented: sent})
	return fmt.Errorf("%w: %s", ErrSignedOut, a.Description)
}

// Present sends a refresh token once, outside the contract: no lock, no retry, nothing stored, even if it is not this
// phone's. It is for duplicates, races and thieves. The error is ErrUnreachable or ErrKilled.
func (p *Phone) Present(ctx context.Context, refreshToken string) (*Answer, error) {
	return p.post(ctx, Refreshing, "/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {p.config.ClientID}, "refresh_token": {refreshToken},
	})
}

// Post sends any form to an endpoint of the issuer once, with a proof if the phone has a key, outside the contract as
// Present is.
func (p *Phone) Post(ctx context.Context, path string, form url.Values) (*Answer, error) {
	return p.post(ctx, Posting, path, form)
}

func (p *Phone) post(ctx context.Context, act Act, path string, form url.Values) (*Answer, error) {
	by, ctx, done, err := p.running(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return p.once(ctx, by, p.form(act, path, form))
}
