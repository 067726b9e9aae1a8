package flow

import (
	"context"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// askConsent shows what the client asks for.
func (s *Service) askConsent(ctx context.Context, t *trip) (*Outcome, error) {
	details, err := s.readable(t.client, t.flow.Request.Details)
	if err != nil {
		return nil, err
	}
	out := t.out
	out.Consent = &Consent{
		Shown: t.shown(), Account: s.called(ctx, t), Scope: t.flow.Request.Asked(), Implied: t.flow.Request.Claims.Implied(),
		Resources: t.flow.Request.Resources,
		Device:    t.flow.Kind == domain.FlowDevice, UserCode: SpokenUserCode(t.flow.UserCode),
		Details: details,
	}
	return &out, nil
}

// Decision is the person's answer to the consent page, as its form came back.
type Decision struct {
	Allow    bool
	Scope    []string
	ClientID string // the page has no such field: a form that names a client names the right one
	Account  string // whom the page was shown to
}

// Decide is the person's answer to the consent page. They may agree to less than was asked for, but openid stays: without
// it the client would not learn who they are, and that is the sign-in itself. What was not asked for is not agreed to,
// whatever the form says, and a form that says so is no form of ours (ATTACKS AZ37).
func (s *Service) Decide(ctx context.Context, id domain.FlowID, v Visitor, d Decision) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil {
		return nil, err
	}
	if elsewhere != nil {
		if p := elsewhere.Problem; p != nil && p.Reason == Foreign { // it was not shown this page
			p.Reason = Altered
		}
		return elsewhere, nil
	}
	if !t.asks(d) {
		return t.altered(), nil
	}
	if !d.Allow {
		return s.refuse(ctx, t, oauth.E(oauth.AccessDenied, "The person did not agree."))
	}
	if t.browser != nil && !t.stillAs(d.Account) {
		return s.switched(ctx, t)
	}
	if t.next() != wantsConsent {
		return t.again(), nil
	}
	t.p.Agreed, t.unsaved = true, true
	t.flow.Scope = t.left(d.Scope)
	if len(t.flow.Scope) == 0 && len(t.flow.Request.Scope) > 0 { // to agree to nothing is not to agree
		return s.refuse(ctx, t, oauth.E(oauth.AccessDenied, "The person agreed to nothing of what was asked for."))
	}
	return s.proceed(ctx, t)
}

// left is what remains of what was asked for.
func (t *trip) left(ticked []string) []string {
	return slices.DeleteFunc(slices.Clone(t.flow.Request.Scope), func(s string) bool {
		return s != oauth.ScopeOpenID && !slices.Contains(ticked, s)
	})
}

// asks tells whether a decision is about what this trip asks.
func (t *trip) asks(d Decision) bool {
	if d.ClientID != "" && d.ClientID != t.client.ID {
		return false
	}
	return !slices.ContainsFunc(d.Scope, func(s string) bool { return !slices.Contains(t.flow.Request.Asked(), s) })
}
