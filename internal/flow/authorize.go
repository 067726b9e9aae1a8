package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Authorize begins a trip (RFC 6749 §4.1.1). Where nothing is left to ask, the code goes back at once and the whole trip
// is one row written once.
func (s *Service) Authorize(ctx context.Context, f httpd.Form, v Visitor) (*Outcome, error) {
	// 1. Who asks, and where does the answer go? Errors stay here.
	client, err := s.asker(ctx, f, v.IP)
	if err != nil {
		return unaddressed(client, f, err), nil
	}
	if handle, ok := pushedHandle(f); ok {
		return s.authorizePushed(ctx, client, handle, f, v)
	}
	if f.Get("request_uri") != "" { // to be fetched: whoever makes us do that counts as if a trip had begun
		if err := s.mayBegin(v.IP, s.DB.Now()); err != nil {
			return nil, err
		}
	}
	asked, refusal := s.unpushed(ctx, client, f, v.IP)
	if refusal != nil {
		asked = f // as far as the answer's address goes, what stands beside the object will do
	}
	request, err := s.address(ctx, client, asked)
	if err != nil {
		return unaddressed(client, f, cmp.Or(refusal, err)), nil
	}
	t := s.begun(client, request, v)
	// 2. What is asked for? Errors go to the client, if anybody answers for it.
	if refusal == nil && client.MustPush() {
		refusal = errNotPushed
	}
	if refusal == nil {
		refusal = s.complete(ctx, client, &t.flow.Request, asked)
	}
	if refusal != nil {
		return s.refuseUnasked(t, refusal)
	}
	return s.depart(ctx, t)
}

var errNotPushed = oauth.E(oauth.InvalidRequest, "This client leaves its requests at /par first and sends the browser here with client_id and request_uri alone (RFC 9126).")

// unpushed is unwrapped for a request that did not come by way of /par: nothing is fetched for one that had to.
func (s *Service) unpushed(ctx context.Context, c *domain.Client, f httpd.Form, ip string) (httpd.Form, error) {
	if c.MustPush() && f.Get("request_uri") != "" {
		return f, errNotPushed
	}
	return s.unwrapped(ctx, c, f, ip)
}

// unaddressed is an error that is sent nowhere.
func unaddressed(c *domain.Client, f httpd.Form, err error) *Outcome {
	return &Outcome{Problem: &Problem{Shown: Shown{Client: c, Locales: readLocales(f)}, Err: err}}
}

// begun is a trip as it begins.
func (s *Service) begun(c *domain.Client, r domain.AuthRequest, v Visitor) *trip {
	now := s.DB.Now()
	r.Agent = agentName(v.Agent)
	return s.tripOf(c, domain.Flow{
		ID: domain.NewID[domain.FlowID](), Kind: domain.FlowAuthorize, State: domain.FlowOpen, Request: r,
		CreatedAt: now, ExpiresAt: now.Add(TripTTL),
	}, v)
}

// depart goes on with a request that is in order.
func (s *Service) depart(ctx context.Context, t *trip) (*Outcome, error) {
	// 3. Is there anything to ask the person?
	if err := s.standing(ctx, t); err != nil {
		return nil, err
	}
	next := t.next()
	if next != wantsNothing && slices.Contains(t.flow.Request.Prompt, oauth.PromptNone) {
		return s.refuseUnasked(t, silent(next))
	}
	event.Add(ctx, "flow", t.flow.ID)
	if next == wantsNothing {
		return s.grant(ctx, t)
	}
	// 4. The trip is stored and goes on on our pages.
	return s.begin(ctx, t)
}

// begin stores a trip that was not stored yet.
func (s *Service) begin(ctx context.Context, t *trip) (*Outcome, error) {
	if err := s.mayBegin(t.visitor.IP, t.now); err != nil {
		return nil, err
	}
	t.bind()
	if s.offersPasskeys(t) {
		if err := s.freshChallenge(t); err != nil { // now, so that showing the page writes nothing
			return nil, err
		}
	}
	var err error
	if t.flow.Progress, err = s.sealed(t.flow.ID, t.p); err != nil {
		return nil, err
	}
	if err := s.DB.StartFlow(ctx, t.flow); err != nil {
		return nil, oauth.Unavailable(fmt.Errorf("store the flow: %w", err))
	}
	return t.again(), nil
}

// bind makes the trip this browser's. Each trip has a secret of its own: with one for all, of two tabs that open at once in
// a browser that is new the second would take the first one's away.
func (t *trip) bind() {
	t.out.Began, t.out.NewVisitor = t.flow.ID, newSecret()
	t.flow.Visitor = hashed(t.out.NewVisitor)
}

// silent is what prompt=none gets where the person would have to be asked (OIDC Core §3.1.2.6).
func silent(n next) *oauth.Error {
	switch n {
	case wantsConsent, wantsChoice: // to be asked as whom would be to be asked whether (RFC 8252 §8.6)
		return oauth.E(oauth.ConsentRequired, "The person has to agree first: repeat the request without prompt=none.")
	case wantsStronger:
		return oauth.E(oauth.InteractionRequired, "The person has to sign in in a stronger way first: repeat the request without prompt=none.")
	}
	return oauth.E(oauth.LoginRequired, "The person has to sign in first: repeat the request without prompt=none.")
}

// View is how a trip is to be shown.
type View struct {
	Notice  Notice
	Another bool // the ways to sign in, although somebody is signed in
}

// Show is where a trip is now: what the person is to do next.
func (s *Service) Show(ctx context.Context, id domain.FlowID, v Visitor, as View) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	t.notice = as.Notice
	switch {
	case t.p.Email != nil:
		return t.emailCode(), nil
	case as.Another:
		return s.login(ctx, t)
	}
	return s.proceed(ctx, t)
}

const codePrefix = "cs_ac_"

// grant ends the trip well: the code goes to the client, or the device may fetch its tokens. The row of the code is the
// row of the trip.
func (s *Service) grant(ctx context.Context, t *trip) (*Outcome, error) {
	if offer, err := s.offerPasskey(ctx, t); offer != nil || err != nil {
		return offer, err
	}
	f := &t.flow
	f.State, f.Progress = domain.FlowGranted, nil
	f.AccountID, f.IdentityID, f.BrowserID = t.browser.AccountID, t.browser.IdentityID, t.browser.ID
	f.AuthTime, f.AMR = t.browser.AuthTime, t.browser.AMR
	if f.Scope == nil {
		f.Scope = f.Request.Scope
	}
	code := ""
	if f.Kind == domain.FlowAuthorize {
		code = codePrefix + newSecret()
		f.CodeHash, f.ExpiresAt = hashed(code), t.now.Add(CodeTTL)
	}
	f.UserCode = "" // another device may have it from now on
	took, err := s.store(ctx, t)
	switch {
	case errors.Is(err, store.ErrSpent):
		return t.spent(), nil
	case err != nil:
		return nil, err
	case !took:
		return t.again(), nil
	case f.Kind == domain.FlowDevice:
		out := t.out
		out.Device = &DeviceDone{Shown: t.shown(), Allowed: true}
		return &out, nil
	}
	if err := s.SignIn.Seen(ctx, t.now, &t.browser.Browser); err != nil { // the code is committed: it is not lost for that
		event.Add(ctx, "cause", "the visit was not noted: "+err.Error())
	}
	return s.respond(t, Param{"code", code})
}

// store writes a granted trip, in one statement where it was never stored before.
func (s *Service) store(ctx context.Context, t *trip) (took bool, err error) {
	e := audit(ctx, t.now, t.client.ID)
	e.Actor, e.AccountID = "account "+t.browser.AccountID.String(), t.browser.AccountID
	if t.flow.Version == 0 && t.flow.Visitor == [32]byte{} {
		start := s.DB.StartFlow
		if pushed := t.flow.Request.Pushed; !pushed.IsZero() {
			start, t.flow.ID = s.DB.GrantPushed, pushed
		}
		err = start(ctx, t.flow)
		took = err == nil
	} else {
		took, err = s.DB.GrantFlow(ctx, t.flow, t.agreement(), e)
	}
	if err != nil && !errors.Is(err, store.ErrSpent) {
		err = oauth.Unavailable(fmt.Errorf("store the code: %w", err))
	}
	return took, err
}

// agreement is what the person has agreed to in this trip; nil where they were not asked. A device's is not remembered:
// every device is asked about.
func (t *trip) agreement() *domain.Consent {
	if !t.p.Agreed || t.flow.Kind == domain.FlowDevice {
		return nil
	}
	scope := slices.Clone(t.flow.Scope)
	for _, s := range t.flow.Request.Claims.Implied() {
		if !slices.Contains(scope, s) {
			scope = append(scope, s)
		}
	}
	return &domain.Consent{
		AccountID: t.browser.AccountID, ClientID: t.client.ID, Scope: scope, Resources: t.flow.Request.Resources,
		GrantedAt: t.now,
	}
}

// refuse ends the trip: the client hears why.
func (s *Service) refuse(ctx context.Context, t *trip, why *oauth.Error) (*Outcome, error) {
	t.flow.State, t.flow.Progress = domain.FlowRefused, nil
	took, err := s.DB.StepFlow(ctx, t.flow)
	switch {
	case err != nil:
		return nil, oauth.Unavailable(err)
	case !took:
		return t.again(), nil
	case t.flow.Kind == domain.FlowDevice:
		out := t.out
		out.Device = &DeviceDone{Shown: t.shown()}
		return &out, nil
	}
	return s.respondError(t, why)
}
