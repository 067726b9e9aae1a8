package flow

import (
	"context"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// refuseUnasked refuses what nobody was asked about: a request that is not in order, or one that nothing here can give.
// The client hears it at its redirect URI, unless nobody answers for that client: anybody may have registered it and made
// a request that must fail, so that an address of ours sends people to one of theirs. They stay on a page of ours then;
// what a person decides there goes back all the same (RFC 9700 §4.11.2, ATTACKS AZ36).
func (s *Service) refuseUnasked(t *trip, why error) (*Outcome, error) {
	if !t.client.Unverified() {
		return s.respondError(t, why)
	}
	return t.kept(why), nil
}

// refuseHelpless ends a trip that no way of signing in can bring to its end. A person who signed in on the way knows that
// they are here.
func (s *Service) refuseHelpless(ctx context.Context, t *trip, why *oauth.Error) (*Outcome, error) {
	if t.flow.Kind == domain.FlowAuthorize && t.client.Unverified() && !t.p.Own {
		return t.kept(why), nil
	}
	return s.refuse(ctx, t, why)
}

// kept shows an error that is sent nowhere.
func (t *trip) kept(why error) *Outcome {
	out := t.out
	out.Problem = &Problem{Shown: t.shown(), Err: why}
	return &out
}
