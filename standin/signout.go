package standin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// SignOut signs out here at once and at the server as soon as it answers (C30). With ErrUnreachable the phone is
// signed out all the same, and FinishSignOut does the rest later. On a phone without a session it does the rest of
// earlier ones.
func (p *Phone) SignOut(ctx context.Context) error {
	_, err := p.alone(ctx, func(ctx context.Context, by *process) (*Tokens, error) {
		token := p.RefreshToken()
		err := p.device.disk.write(by, func(r *record) {
			if r.RefreshToken == token && token != "" {
				r.Revoke = append(r.Revoke, token)
				r.RefreshToken = ""
			}
			r.Pending = nil
		})
		if err != nil {
			return nil, fmt.Errorf("sign out: %w", err)
		}
		by.forgetAccessTokens()
		if token != "" {
			p.tell(Event{Act: Revoking, What: SignedOff, Presented: token})
		}
		return nil, p.revokeAll(ctx, by)
	})
	return err
}

// FinishSignOut revokes what earlier sign-outs could not, as an app does when it starts (C30).
func (p *Phone) FinishSignOut(ctx context.Context) error {
	_, err := p.alone(ctx, func(ctx context.Context, by *process) (*Tokens, error) {
		return nil, p.revokeAll(ctx, by)
	})
	return err
}

func (p *Phone) revokeAll(ctx context.Context, by *process) error {
	for _, token := range p.device.disk.read().Revoke {
		m := p.form(Revoking, "/revoke", url.Values{
			"client_id": {p.config.ClientID}, "token": {token}, "token_type_hint": {"refresh_token"},
		})
		m.noProof = true // whoever has the token may end its session
		a, _, err := p.settle(ctx, by, m, p.config.Patience)
		if err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return &Refused{Answer: a}
		}
		err = p.device.disk.write(by, func(r *record) {
			r.Revoke = slices.DeleteFunc(r.Revoke, func(t string) bool { return t == token })
		})
		if err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
	}
	return nil
}
