package flow

import (
	"context"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

// Farewell says what comes of a logout.
type Farewell struct {
	Confirm *ConfirmLogout // ask first
	Return  string         // where the browser goes: registered by the client; empty: our own page
	Client  *domain.Client // that asked; may be nil
	Locales []string
	Done    bool // the browser is signed out: its cookie is to be taken away
}

// ConfirmLogout is the page that asks.
type ConfirmLogout struct {
	Account string
	Client  *domain.Client // may be nil
}

// Logout is RP-Initiated Logout 1.0 §2. A valid hint about the very person and session that is signed in here ends it at
// once, and the browser returns to where its client registered. Everything else is asked about first, and leads nowhere
// (ATTACKS SE04): a page anybody can make must not sign people out, and must not use us to send them elsewhere.
func (s *Service) Logout(ctx context.Context, f httpd.Form, v Visitor) (*Farewell, error) {
	if name := f.Repeated(); name != "" {
		return nil, oauth.E(oauth.InvalidRequest, "A parameter came twice.")
	}
	browser, err := s.SignIn.Browser(ctx, v.SignOn)
	if err != nil {
		return nil, err
	}
	bye := &Farewell{Locales: readLocales(f)}
	hint, err := s.Tokens.Hint(ctx, f.Get("id_token_hint"))
	if err != nil {
		return nil, err
	}
	if hint != nil && (f.Get("client_id") == "" || f.Get("client_id") == hint.ClientID) {
		bye.Client = s.Clients.Named(hint.ClientID)
	} else {
		hint = nil
	}
	switch {
	case hint == nil, bye.Client == nil:
		return s.confirm(ctx, bye, browser)
	case browser != nil && browser.AccountID.String() != hint.Subject:
		return s.confirm(ctx, bye, browser)
	}
	if to := f.Get("post_logout_redirect_uri"); to != "" {
		if !slices.Contains(bye.Client.PostLogoutURIs, to) {
			return s.confirm(ctx, bye, browser)
		}
		bye.Return = withState(to, f.Get("state"))
	}
	bye.Done = true
	return bye, s.signOut(ctx, browser, hint)
}

// confirm asks, where there is anybody to sign out.
func (s *Service) confirm(ctx context.Context, bye *Farewell, browser *domain.BrowserView) (*Farewell, error) {
	if browser == nil {
		bye.Done = true
		return bye, nil
	}
	bye.Confirm = &ConfirmLogout{Account: s.SignIn.Called(ctx, browser.AccountID, browser.IdentityID), Client: bye.Client}
	return bye, nil
}

// ConfirmedLogout is the person's own word, from a page of ours in a browser whose cookie came along.
func (s *Service) ConfirmedLogout(ctx context.Context, v Visitor) error {
	browser, err := s.SignIn.Browser(ctx, v.SignOn)
	if err != nil {
		return err
	}
	return s.signOut(ctx, browser, nil)
}

// withState adds what the client gave us to a URI that may have a query of its own.
func withState(uri, state string) string {
	if state == "" {
		return uri
	}
	return AddToQuery(uri, Param{"state", state})
}

// signOut ends the browser with every session that hangs on it, and the one the hint names if it is the same person's.
// Where nobody is signed in here a hint ends nothing: it travels in addresses, and whoever finds one must not be able to
// sign a person out. The app that is left forgets its tokens, or revokes them.
func (s *Service) signOut(ctx context.Context, browser *domain.BrowserView, hint *token.Hinted) error {
	if browser == nil {
		return nil
	}
	now := s.DB.Now()
	e := audit(ctx, now, "")
	e.Actor, e.AccountID = "account "+browser.AccountID.String(), browser.AccountID
	if _, err := s.DB.EndBrowser(ctx, store.BrowserEnding{ID: browser.ID, Now: now, Reason: domain.EndedByLogout, Event: e}); err != nil {
		return oauth.Unavailable(err)
	}
	if hint == nil || hint.SessionID.IsZero() {
		return nil
	}
	return s.SignIn.Sessions.End(ctx, hint.SessionID, domain.EndedByLogout)
}
