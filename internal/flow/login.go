package flow

import (
	"context"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// login shows the ways to sign in: those of the client that can give what it asked for.
func (s *Service) login(ctx context.Context, t *trip) (*Outcome, error) {
	weaker, err := s.weakerWillDo(ctx, t)
	if err != nil {
		return nil, err
	}
	page := &Login{Shown: t.shown(), Hint: t.flow.Request.LoginHint, Passkeys: s.offersPasskeys(t), Again: t.browser != nil && t.listed()}
	if weaker {
		page.Providers, page.Email = s.redirecting(t), t.client.Email
	}
	if page.Notice == "" && weaker && t.onlyPasskeys() {
		page.Notice = NoticeMakeOne
	}
	if !page.Email && !page.Passkeys && len(page.Providers) == 0 { // a page with nothing but "cancel" helps nobody
		return s.refuseHelpless(ctx, t, oauth.E(oauth.UnmetAuthentication,
			"No way of signing in that this client has can give what was asked for: acr_values, or the time of the sign-in that prompt=login and max_age want."))
	}
	if page.Notice == "" && t.p.Own && t.browser != nil {
		page.Notice = NoticeUnproven
		if !t.expected() {
			page.Notice = NoticeWrongPerson
		}
	}
	if page.Passkeys {
		if t.p.Passkey == nil || t.now.Sub(t.p.Passkey.MadeAt) > challengeAge {
			if err := s.freshChallenge(t); err != nil {
				return nil, err
			}
			if took, err := s.step(ctx, t); err != nil || !took {
				return t.again(), err
			}
		}
		page.PasskeyOptions = t.p.Passkey.Options
	}
	if n := t.next(); page.Again && n != wantsSignIn && n != wantsStronger { // they wish to be somebody else, and may change their mind
		page.Again, page.As = false, s.called(ctx, t)
	}
	out := t.out
	out.Login = page
	return &out, nil
}

// onlyPasskeys tells whether nothing but a passkey reaches what the client asked for.
func (t *trip) onlyPasskeys() bool { return !domain.ACRSuffices(domain.ACRSingle, t.flow.Request.ACR) }

// recently tells whether the client wants a proof of when the person signed in.
func (t *trip) recently() bool {
	r := &t.flow.Request
	return r.MaxAge != nil || slices.Contains(r.Prompt, oauth.PromptLogin)
}

// weakerWillDo tells whether ways other than a passkey lead anywhere: where a passkey is wanted, they lead to making one,
// for whoever has none yet (see offerPasskey).
func (s *Service) weakerWillDo(ctx context.Context, t *trip) (bool, error) {
	switch {
	case !t.onlyPasskeys():
		return true, nil
	case !s.offersPasskeys(t):
		return false, nil
	case t.browser == nil:
		return true, nil
	}
	has, err := s.DB.Passkeys(ctx, t.browser.AccountID)
	if err != nil {
		return false, oauth.Unavailable(err)
	}
	return len(has) == 0, nil
}

func (s *Service) byEmail(t *trip) bool {
	return t.client.Email && (!t.onlyPasskeys() || s.offersPasskeys(t))
}

// redirecting lists the providers whose word would do.
func (s *Service) redirecting(t *trip) []string {
	var names []string
	for _, p := range t.client.Providers {
		if s.mayAsk(t, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

func (s *Service) mayAsk(t *trip, name string) bool {
	p, ok := s.Providers.ByName(name)
	return ok && p.Redirects() && (!t.recently() || p.ProvesAuthTime())
}

// Cancel ends the trip by the person's wish.
func (s *Service) Cancel(ctx context.Context, id domain.FlowID, v Visitor) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	return s.refuse(ctx, t, oauth.E(oauth.AccessDenied, "The person turned back."))
}

// GoOn is the person's word to go on as whoever is signed in, whom the page named.
func (s *Service) GoOn(ctx context.Context, id domain.FlowID, v Visitor, account string) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	if t.browser == nil {
		return t.again(), nil
	}
	if !t.stillAs(account) {
		return s.switched(ctx, t)
	}
	t.p.Chosen = true
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	return s.proceed(ctx, t)
}

// challengeAge is how old the passkey challenge of a page may be when the page is shown again; it is good for longer.
const challengeAge = 2 * time.Minute
