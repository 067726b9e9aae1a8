package flow

import (
	"context"
	"slices"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// askConsent shows what the client asks for.
func (s *Service) askConsent(ctx context.Context, t *trip) (*Outcome, error) {
	out := t.out
	out.Consent = &Consent{
		Shown: t.shown(), Account: s.called(ctx, t), Scope: t.flow.Request.Scope, Resources: t.flow.Request.Resources,
		Device: t.flow.Kind == domain.FlowDevice, UserCode: SpokenUserCode(t.flow.UserCode),
	}
	return &out, nil
}

// Decide is the person's answer to the consent page. They may agree to less than was asked for, but openid stays: without
// it the client would not learn who they are, and that is the sign-in itself. What was not asked for is not agreed to,
// whatever the form says (ATTACKS AZ37).
func (s *Service) Decide(ctx context.Context, id domain.FlowID, v Visitor, allow bool, scope []string) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	if !allow {
		return s.refuse(ctx, t, oauth.E(oauth.AccessDenied, "The person did not agree."))
	}
	if t.next() != wantsConsent {
		return t.again(), nil
	}
	for _, s := range scope {
		if !slices.Contains(t.flow.Request.Scope, s) {
			return foreign(), nil
		}
	}
	t.p.Agreed, t.unsaved = true, true
	t.flow.Scope = slices.DeleteFunc(slices.Clone(t.flow.Request.Scope), func(s string) bool {
		return s != oauth.ScopeOpenID && !slices.Contains(scope, s)
	})
	return s.proceed(ctx, t)
}
