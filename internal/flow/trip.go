package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

// provenSlack is how far a provider's clock may be behind ours for its auth_time to count as later than our asking.
const provenSlack = time.Minute

// trip is a flow with everything a decision about it needs, as of one moment.
type trip struct {
	now     time.Time
	flow    domain.Flow
	p       progress
	client  *domain.Client
	tokens  *token.Service // knows under which subject the client knows an account
	visitor Visitor
	browser *domain.BrowserView // signed in, or nil
	consent *domain.Consent     // or nil
	notice  Notice
	out     Outcome // cookies that go with whatever comes next
	unsaved bool    // the flow or its progress is not as it is stored
	trial   bool    // the issuer is plain http, on loopback, and so may its providers be
}

// next is what a trip wants from the person.
type next int

const (
	wantsSignIn next = iota + 1
	wantsStronger
	wantsChoice
	wantsConsent
	wantsNothing
)

// next decides. It changes nothing and asks nobody.
func (t *trip) next() next {
	r := &t.flow.Request
	switch {
	case t.browser == nil, !t.expected(), !t.listed(), !t.proven():
		return wantsSignIn
	case !domain.ACRSuffices(domain.ACR(t.browser.AMR), r.ACR):
		return wantsStronger
	case t.mustChoose():
		return wantsChoice
	case t.mustAgree():
		return wantsConsent
	}
	return wantsNothing
}

// expected tells whether whoever is signed in is the one the client named, if it named one.
func (t *trip) expected() bool {
	return t.flow.Request.HintedSubject == "" || t.hinted(t.browser.AccountID)
}

// listed tells whether the client takes the way in which the person signed in here, perhaps through another client:
// single sign-on opens no door that the client keeps shut (ATTACKS SE18). Other identities of the account do not count,
// for nobody has just proved those.
func (t *trip) listed() bool { return t.client.TakesSignInBy(t.browser.Issuer, t.browser.Provider) }

// hinted tells whether an account is the one the client named, by the subject it knows it under.
func (t *trip) hinted(account domain.AccountID) bool {
	return t.tokens.Knows(t.client, t.flow.Request.HintedSubject, account)
}

// proven tells whether the sign-in is as recent as the client wants. What a provider leaves open is not taken for new:
// prompt=login and max_age need a time that somebody vouches for (DESIGN section 5).
func (t *trip) proven() bool {
	r, at := &t.flow.Request, t.browser.AuthTime
	anew := t.p.Own && !at.IsZero() && !at.Before(t.flow.CreatedAt.Add(-provenSlack))
	switch {
	case anew:
		return true
	case slices.Contains(r.Prompt, oauth.PromptLogin):
		return false
	case r.MaxAge != nil:
		return !at.IsZero() && t.now.Sub(at).Seconds() <= float64(*r.MaxAge) // any number: no duration holds them all
	}
	return true
}

// mustChoose: the person is to see as whom they go on where the client asked for it, and wherever the answer goes to
// another app on the device as well as to the right one (RFC 8252 §8.6, ATTACKS AZ12).
func (t *trip) mustChoose() bool {
	if t.p.Own || t.p.Chosen || t.p.Agreed {
		return false
	}
	r := &t.flow.Request
	return t.p.Switched || slices.Contains(r.Prompt, oauth.PromptSelect) || t.anyApp()
}

// anyApp tells whether any app on the device could be the one that hears the answer: a scheme of an app's own may have
// been claimed by another, and of a native client's loopback address any port will do.
func (t *trip) anyApp() bool {
	uri := t.flow.Request.RedirectURI
	return t.flow.Kind == domain.FlowAuthorize &&
		(oauth.PrivateUse(uri) || t.client.Type == domain.ClientNative && strings.HasPrefix(uri, "http:"))
}

// mustAgree: a device's trip is always confirmed (RFC 8628 §5.4), and so are authorization_details; otherwise whoever runs the server need not ask for its
// own apps, and nobody is asked twice for the same.
func (t *trip) mustAgree() bool {
	r := &t.flow.Request
	switch {
	case t.p.Agreed:
		return false
	case t.flow.Kind == domain.FlowDevice, slices.Contains(r.Prompt, oauth.PromptConsent):
		return true
	case len(r.Details) > 0: // whatever was agreed to before, it was not this
		return true
	case t.client.FirstParty:
		return false
	}
	return t.consent == nil || !t.consent.Covers(r.Asked(), r.Resources)
}

// stillAs tells whether whoever is signed in is the account a page named. Somebody else may have signed in meanwhile, in
// another tab: what was said to one name is not said to another. A form without a name is not held against it.
func (t *trip) stillAs(account string) bool {
	return account == "" || account == t.browser.AccountID.String()
}

// switched asks whoever is signed in now whether to go on as they.
func (s *Service) switched(ctx context.Context, t *trip) (*Outcome, error) {
	t.p.Own, t.p.Chosen, t.p.Agreed, t.p.Switched = false, false, false, true
	_, err := s.step(ctx, t) // lost to another tab: that one knows better
	return t.again(), err
}

// load finds the trip a browser speaks of. A problem is an outcome to be shown; the error is a fault of ours.
func (s *Service) load(ctx context.Context, id domain.FlowID, v Visitor) (*trip, *Outcome, error) {
	flow, err := s.DB.Flow(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, lost(), nil
	}
	if err != nil {
		return nil, nil, oauth.Unavailable(err)
	}
	// Whoever began it goes on with it, in the same browser (ATTACKS AZ38). Nobody else learns what it is about.
	if flow.Visitor == [32]byte{} || hashed(v.Secret(id)) != flow.Visitor {
		return nil, foreign(), nil
	}
	t, err := s.trip(ctx, *flow, v)
	if err != nil {
		return nil, nil, err
	}
	event.Add(ctx, "flow", id)
	event.Add(ctx, "client", flow.Request.ClientID)
	if t.client == nil {
		return nil, lost(), nil
	}
	if over := s.over(t); over != nil {
		return nil, over, nil
	}
	if t.p, err = s.opened(flow); err != nil {
		return nil, nil, err
	}
	return t, nil, s.standing(ctx, t)
}

// trip is a flow as of now, with its client; nil where that is one no more.
func (s *Service) trip(ctx context.Context, f domain.Flow, v Visitor) (*trip, error) {
	client, err := s.Clients.Named(ctx, f.Request.ClientID)
	if err != nil {
		return nil, err
	}
	return s.tripOf(client, f, v), nil
}

func (s *Service) tripOf(c *domain.Client, f domain.Flow, v Visitor) *trip {
	return &trip{now: s.DB.Now(), flow: f, visitor: v, client: c, tokens: s.Tokens, trial: strings.HasPrefix(s.Issuer, "http://")}
}

// standing reads who is signed in, and what they have agreed to before.
func (s *Service) standing(ctx context.Context, t *trip) (err error) {
	t.browser, err = s.SignIn.Browser(ctx, t.visitor.SignOn)
	if err != nil || t.browser == nil {
		return err
	}
	t.disown()
	if t.client.FirstParty && t.flow.Kind != domain.FlowDevice {
		return nil
	}
	t.consent, err = s.DB.Consent(ctx, t.browser.AccountID, t.client.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return oauth.Unavailable(err)
	}
	return nil
}

// disown forgets what somebody else said and proved in this trip: another tab may have signed another person in since.
func (t *trip) disown() {
	said := t.p.As
	if said.IsZero() {
		said = t.flow.AccountID // whoever arrived last
	}
	if said.IsZero() || said == t.browser.AccountID {
		return
	}
	t.p.Own, t.p.Chosen, t.p.Agreed, t.p.Offered, t.p.NewPasskey, t.flow.Scope = false, false, false, false, nil, nil
}

// proceed shows or does what comes next.
func (s *Service) proceed(ctx context.Context, t *trip) (*Outcome, error) {
	switch t.next() {
	case wantsNothing:
		return s.grant(ctx, t)
	case wantsConsent:
		return s.askConsent(ctx, t)
	case wantsChoice:
		out := t.out
		out.Continue = &Continue{Shown: t.shown(), Account: s.called(ctx, t)}
		return &out, nil
	case wantsStronger:
		if t.p.Own { // they did what they could (ATTACKS AZ25), unless they make a passkey now
			if offer, err := s.offerPasskey(ctx, t); offer != nil || err != nil {
				return offer, err
			}
			return s.refuse(ctx, t, oauth.E(oauth.UnmetAuthentication, "The person could not sign in with any of the acr values that were asked for."))
		}
	}
	return s.login(ctx, t)
}

// step writes the flow as it has become. false: somebody else took a step meanwhile, from another tab or by a second
// click; what they did stands, and the person is shown where the trip is now.
func (s *Service) step(ctx context.Context, t *trip) (bool, error) {
	if t.browser != nil {
		t.p.As = t.browser.AccountID
	}
	var err error
	if t.flow.Progress, err = s.sealed(t.flow.ID, t.p); err != nil {
		return false, err
	}
	took, err := s.DB.StepFlow(ctx, t.flow)
	if err != nil {
		return false, oauth.Unavailable(err)
	}
	t.flow.Version++
	t.unsaved = false
	return took, nil
}

// shown is what every page of this trip is about.
func (t *trip) shown() Shown {
	s := Shown{
		Flow: t.flow.ID, Client: t.client, Returns: t.flow.Request.RedirectURI, Locales: t.flow.Request.Locales, Notice: t.notice,
		Targets: t.targets(),
	}
	if t.browser != nil {
		s.As = t.browser.AccountID.String()
	}
	return s
}

// targets are where a form of ours may lead beside us, as a Content-Security-Policy says it. A browser holds every redirect
// that follows a form's POST against it: those of a provider that hands on to a company's sign-in, and those of the
// client's callback, which nobody can list. So it is any https address, the scheme of an app, and plain http only where
// the client registered it or this server itself is a trial on one machine.
func (t *trip) targets() []string {
	list := []string{"https:"}
	if uri := t.flow.Request.RedirectURI; uri != "" && !strings.HasPrefix(uri, "https:") {
		scheme, _, _ := strings.Cut(uri, ":")
		list = append(list, scheme+":")
	}
	if t.trial {
		list = append(list, "http:")
	}
	return list
}

// again is where the person is shown what comes next: a reload of that address is harmless.
func (t *trip) again() *Outcome {
	out := t.out
	out.Go = loginPath(t.flow.ID)
	return &out
}

func loginPath(id domain.FlowID) string { return "/login?flow=" + id.String() }

// called is a name or an address the person knows the account by.
func (s *Service) called(ctx context.Context, t *trip) string {
	return s.SignIn.Called(ctx, t.browser.AccountID, t.browser.IdentityID)
}
