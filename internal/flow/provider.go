package flow

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// CallbackPath is where a provider sends the browser back to: what is registered there.
func CallbackPath(provider string) string { return "/federation/" + provider + "/callback" }

// ToProvider begins a trip to a provider. A second click begins another one, and the answer to the first is stale.
func (s *Service) ToProvider(ctx context.Context, id domain.FlowID, v Visitor, name string) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	if _, listed := t.client.Provider(name); !listed || !s.mayAsk(t, name) {
		return t.again(), nil
	}
	provider, _ := s.Providers.ByName(name)
	t.p.Email = nil
	t.p.Errand = &errand{Provider: name, Secret: newSecret(), Nonce: newSecret(), Verifier: newSecret(), BegunAt: t.now}
	to, err := s.directions(ctx, provider, s.upstreamTrip(t))
	if err != nil {
		t.notice = NoticeFailed
		event.Add(ctx, "cause", err.Error())
		return s.login(ctx, t)
	}
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	out := t.out
	out.Go = to
	return &out, nil
}

// directions is where the browser goes. Who waits for a provider that has not said yet where that is takes a place in the room.
func (s *Service) directions(ctx context.Context, p *upstream.Provider, trip upstream.Trip) (string, error) {
	if !p.Known() {
		leave, ok := s.asking.Enter(providerRoom, providerRoom)
		if !ok {
			return "", errNoRoom
		}
		defer leave()
	}
	return p.AuthorizeURL(ctx, trip)
}

// upstreamTrip is what the provider is told, and held to when it answers.
func (s *Service) upstreamTrip(t *trip) upstream.Trip {
	r, e := &t.flow.Request, t.p.Errand
	trip := upstream.Trip{
		RedirectURI: s.Issuer + CallbackPath(e.Provider), State: stateOf(t.flow.ID, e.Secret), Nonce: e.Nonce, Verifier: e.Verifier,
		LoginHint: r.LoginHint, UILocales: r.Locales,
	}
	if t.recently() {
		trip.Prompt, trip.MaxAge = []string{oauth.PromptLogin}, r.MaxAge
	}
	return trip
}

// stateOf names the trip and the errand: one finds the row, the other says that the answer is to the last question.
func stateOf(id domain.FlowID, secret string) string {
	return base64.RawURLEncoding.EncodeToString(id[:]) + "." + secret
}

func readState(state string) (id domain.FlowID, secret string, ok bool) {
	first, secret, found := strings.Cut(state, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil || !found || len(raw) != len(id) {
		return id, "", false
	}
	copy(id[:], raw)
	return id, secret, true
}

// Return is what a provider sent the browser back with.
type Return struct {
	Provider string
	State    string
	Answer   upstream.Returned
	Posted   bool // across sites: the browser's cookies do not come along (Apple)
}

// FromProvider takes up the answer of a provider. What was posted is kept until the same browser comes by GET with its
// cookie: only there is it known whose trip this is.
func (s *Service) FromProvider(ctx context.Context, r Return, v Visitor) (*Outcome, error) {
	id, secret, ok := readState(r.State)
	if !ok {
		return lost(), nil
	}
	if r.Posted {
		return s.keepAnswer(ctx, id, secret, r)
	}
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	e := t.p.Errand
	if !asked(e, r.Provider, secret) {
		if !t.p.Own { // a reload of the address that signed them in is no failure
			t.notice = NoticeFailed
		}
		return s.proceed(ctx, t)
	}
	if e.Answer != nil {
		r.Answer = upstream.Returned{Code: e.Answer.Code, Error: e.Answer.Error, Issuer: e.Answer.Issuer, User: e.Answer.User}
	}
	// The errand is over before the code is used: a reload of this address asks the provider nothing again.
	told := s.upstreamTrip(t)
	t.p.Errand = nil
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	return s.redeem(ctx, t, r, told)
}

func asked(e *errand, provider, secret string) bool {
	return e != nil && e.Provider == provider && subtle.ConstantTimeCompare([]byte(e.Secret), []byte(secret)) == 1
}

// keepAnswer puts a posted answer by. It needs no cookie to be harmless: it can only be taken up by the browser that
// began the trip, and only for the question it answers.
func (s *Service) keepAnswer(ctx context.Context, id domain.FlowID, secret string, r Return) (*Outcome, error) {
	flow, err := s.DB.Flow(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return lost(), nil
	}
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	t, err := s.trip(ctx, *flow, Visitor{})
	if err != nil {
		return nil, err
	}
	if t.p, err = s.opened(flow); err != nil {
		return nil, err
	}
	here := &Outcome{Go: CallbackPath(url.PathEscape(r.Provider)) + "?state=" + url.QueryEscape(r.State)}
	if !asked(t.p.Errand, r.Provider, secret) || t.p.Errand.Answer != nil {
		return here, nil // where the cookie is seen, the person is told
	}
	a := r.Answer
	t.p.Errand.Answer = &answer{Code: a.Code, Error: a.Error, Issuer: a.Issuer, User: a.User}
	_, err = s.step(ctx, t)
	return here, err
}

// redeem asks the provider who it is, and signs them in.
func (s *Service) redeem(ctx context.Context, t *trip, r Return, told upstream.Trip) (*Outcome, error) {
	provider, ok := s.Providers.ByName(r.Provider)
	if !ok {
		return t.again(), nil
	}
	event.Add(ctx, "provider", r.Provider)
	who, err := s.ask(ctx, provider, told, r.Answer)
	if err != nil {
		event.Add(ctx, "cause", err.Error())
		t.notice = NoticeFailed
		var refused *upstream.Refusal
		if errors.As(err, &refused) && refused.Cancelled {
			t.notice = NoticeCancelled
		}
		return s.proceed(ctx, t)
	}
	return s.arrive(ctx, t, signin.Arrival{
		Subject: who.Subject, User: r.Answer.User, RefreshToken: who.RefreshToken, ProviderClient: who.ClientID,
		AMR: []string{domain.AMRFederated}, AuthTime: who.Subject.AuthTime,
	})
}

var errNoRoom = errors.New("no room: too many wait for providers at this moment")

func (s *Service) ask(ctx context.Context, p *upstream.Provider, told upstream.Trip, a upstream.Returned) (*upstream.Redeemed, error) {
	leave, ok := s.asking.Enter(providerRoom, providerRoom)
	if !ok {
		return nil, errNoRoom
	}
	defer leave()
	return p.Redeem(ctx, told, a)
}

// arrive signs the person in and goes on.
func (s *Service) arrive(ctx context.Context, t *trip, a signin.Arrival) (*Outcome, error) {
	t.p.Own, t.p.OwnAt, t.p.Email, t.p.Errand, t.p.Passkey = true, t.now, nil, nil, nil
	// What somebody said before they arrived was perhaps somebody else's word.
	t.p.As, t.p.Chosen, t.p.Agreed, t.p.NewPasskey, t.flow.Scope = domain.AccountID{}, false, false, nil, nil
	progress, err := s.sealed(t.flow.ID, t.p)
	if err != nil {
		return nil, err
	}
	a.Now, a.Client, a.Flow = t.now, t.client, t.flow
	if t.flow.Request.HintedSubject != "" {
		a.Expected = t.hinted
	}
	a.Flow.State, a.Flow.Progress = domain.FlowSignedIn, progress
	known, _, err := s.SignIn.Known(ctx, t.visitor.SignOn)
	if err != nil {
		return nil, err
	}
	if known != nil {
		a.Replaces = known.ID
	}
	in, err := s.SignIn.Arrive(ctx, a)
	var refused *signin.Turned
	switch {
	case errors.As(err, &refused):
		return s.turnedAway(ctx, t, refused)
	case err != nil:
		return nil, err
	}
	t.flow, t.out.NewSignOn, t.visitor.SignOn = in.Flow, in.Cookie, in.Cookie
	if a.Email != "" {
		t.out.NewKnown = s.introduce(t.visitor.Known, a.Email)
	}
	t.browser = &domain.BrowserView{Browser: in.Browser, AccountState: domain.AccountActive}
	if err := s.standing(ctx, t); err != nil {
		return nil, err
	}
	return s.proceed(ctx, t)
}

// turnedAway says why evidence that held signs nobody in.
func (s *Service) turnedAway(ctx context.Context, t *trip, why *signin.Turned) (*Outcome, error) {
	t.p.Own = false
	switch why.Reason {
	case signin.MovedOn:
		return t.again(), nil
	case signin.Disabled:
		t.notice = NoticeDisabled
	case signin.Unknown, signin.Cloned:
		t.notice = NoticePasskey
	default:
		t.notice = NoticeWrongPerson
	}
	// What they showed is used up: another code, answer or challenge is needed.
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	return s.login(ctx, t)
}
