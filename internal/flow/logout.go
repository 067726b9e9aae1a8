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
	Back    string         // where our own page may offer to go, as a link
	Client  *domain.Client // that asked; may be nil
	Locales []string
	Done    bool // the browser is signed out: its cookie is to be taken away
}

// ConfirmLogout is the page that asks.
type ConfirmLogout struct {
	Account string
	Clients []string // names of the apps that are signed out with the browser
	// Return is where the browser goes once the person has confirmed, and Carried what the form has to bring back for that.
	// Nothing of it is believed then: it is judged anew.
	Return  string
	Carried []Param
}

// Logout is RP-Initiated Logout 1.0 §2. A valid hint about the very person who is signed in here ends it at once, and the
// browser returns to where its client registered. Everything else is asked about first (ATTACKS SE04): a page anybody can
// make must not sign people out, and must not use us to send them elsewhere. A hint that does not hold leads nowhere, even
// then. Without one, the person's own word stands for it where client_id says whose registered address it is (§3).
// logout_hint is not needed: there is one person per browser.
//
// A browser whose sign-on is over by its time, or that never got its newest cookie, is signed out like any other: apps may
// still be signed in that hang on it, and the person is told that they are not.
func (s *Service) Logout(ctx context.Context, f httpd.Form, v Visitor) (*Farewell, error) {
	if name := f.Repeated(); name != "" {
		return nil, oauth.E(oauth.InvalidRequest, "A parameter came twice.")
	}
	who, err := s.leaving(ctx, v)
	if err != nil {
		return nil, err
	}
	bye := &Farewell{Locales: readLocales(f)}
	raw := f.Get("id_token_hint")
	hint, err := s.Tokens.Hint(ctx, raw)
	if err != nil {
		return nil, err
	}
	switch {
	case raw == "":
		return s.unhinted(ctx, bye, who, f)
	case hint == nil, f.Get("client_id") != "" && f.Get("client_id") != hint.ClientID:
		return s.confirm(ctx, bye, who)
	}
	if bye.Client, err = s.Clients.Named(ctx, hint.ClientID); err != nil {
		return nil, err
	}
	if bye.Client == nil || (who.browser != nil && !s.Tokens.Knows(bye.Client, hint.Subject, who.browser.AccountID)) {
		return s.confirm(ctx, bye, who)
	}
	to := returnTo(bye.Client, f)
	if to == "" && f.Get("post_logout_redirect_uri") != "" {
		return s.confirm(ctx, bye, who)
	}
	if who.browser == nil && bye.Client.Unverified() { // nobody is asked: a link, and no way through us to anybody's address (AZ36)
		bye.Back = to
		return s.confirm(ctx, bye, who)
	}
	bye.Return, bye.Done = to, true
	return bye, s.signOut(ctx, who.browser, hint)
}

// leaver is the browser that is to be signed out.
type leaver struct {
	browser  *domain.BrowserView // nil: none
	signedIn bool                // else it is not told whose it was
}

func (s *Service) leaving(ctx context.Context, v Visitor) (who leaver, err error) {
	who.browser, who.signedIn, err = s.SignIn.Known(ctx, v.SignOn)
	return who, err
}

// unhinted is a logout that nobody vouches for.
func (s *Service) unhinted(ctx context.Context, bye *Farewell, who leaver, f httpd.Form) (*Farewell, error) {
	var err error
	if bye.Client, err = s.Clients.Named(ctx, f.Get("client_id")); err != nil {
		return nil, err
	}
	bye.Back = returnTo(bye.Client, f)
	bye, err = s.confirm(ctx, bye, who)
	if err != nil || bye.Confirm == nil || bye.Back == "" {
		return bye, err
	}
	bye.Confirm.Return, bye.Back = bye.Back, ""
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state"} {
		if value := f.Get(name); value != "" {
			bye.Confirm.Carried = append(bye.Confirm.Carried, Param{name, value})
		}
	}
	return bye, nil
}

// returnTo is the address the client registered and now asks for, with its state; empty: there is none.
func returnTo(c *domain.Client, f httpd.Form) string {
	to := f.Get("post_logout_redirect_uri")
	if c == nil || to == "" || !oauth.MatchRedirect(c.PostLogoutURIs, to, false) {
		return ""
	}
	return withState(to, f.Get("state"))
}

// confirm asks, where there is anybody to sign out.
func (s *Service) confirm(ctx context.Context, bye *Farewell, who leaver) (*Farewell, error) {
	if who.browser == nil {
		bye.Done = true
		return bye, nil
	}
	bye.Confirm = &ConfirmLogout{}
	if b := who.browser; who.signedIn {
		bye.Confirm.Account, bye.Confirm.Clients = s.SignIn.Called(ctx, b.AccountID, b.IdentityID), s.told(ctx, b)
	}
	return bye, nil
}

// told names the apps that hang on a browser. It is for a page only; an empty answer does no harm.
func (s *Service) told(ctx context.Context, browser *domain.BrowserView) (names []string) {
	list, err := s.DB.AccountSessions(ctx, browser.AccountID, true)
	if err != nil {
		return nil
	}
	for i := range list {
		if list[i].BrowserID != browser.ID {
			continue
		}
		if c, err := s.Clients.Named(ctx, list[i].ClientID); err == nil && c != nil && !slices.Contains(names, c.DisplayName()) {
			names = append(names, c.DisplayName())
		}
	}
	slices.Sort(names)
	return names
}

// ConfirmedLogout is the person's own word, from a page of ours in a browser whose cookie came along. What the form brought
// back is judged as if it came from anybody.
func (s *Service) ConfirmedLogout(ctx context.Context, f httpd.Form, v Visitor) (*Farewell, error) {
	if name := f.Repeated(); name != "" {
		return nil, oauth.E(oauth.InvalidRequest, "A parameter came twice.")
	}
	who, err := s.leaving(ctx, v)
	if err != nil {
		return nil, err
	}
	client, err := s.Clients.Named(ctx, f.Get("client_id"))
	if err != nil {
		return nil, err
	}
	return &Farewell{Client: client, Return: returnTo(client, f), Done: true}, s.signOut(ctx, who.browser, nil)
}

// withState adds what the client gave us to a URI that may have a query of its own.
func withState(uri, state string) string {
	if state == "" {
		return uri
	}
	return AddToQuery(uri, Param{"state", state})
}

// signOut ends the browser with every session that hangs on it, and the one the hint names if it is the same person's.
// Where the browser is nobody's a hint ends nothing: it travels in addresses, and whoever finds one must not be able to
// sign a person out. The app that is left forgets its tokens, or revokes them.
func (s *Service) signOut(ctx context.Context, browser *domain.BrowserView, hint *token.Hinted) error {
	if browser == nil {
		return nil
	}
	now := s.DB.Now()
	e := audit(ctx, now, "")
	e.Actor, e.AccountID = "account "+browser.AccountID.String(), browser.AccountID
	ending := store.BrowserEnding{ID: browser.ID, Now: now, Reason: domain.EndedByLogout, Event: e}
	if hint != nil { // in one transaction: a second try would find nobody signed in, and the app's session would live on
		ending.Also = hint.SessionID
	}
	if _, err := s.DB.EndBrowser(ctx, ending); err != nil {
		return oauth.Unavailable(err)
	}
	return nil
}
