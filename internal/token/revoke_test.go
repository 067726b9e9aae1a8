package token

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
)

func (a *signedIn) rotate() error {
	r, err := a.h.Sessions.Rotate(context.Background(), session.Presented{Client: a.client, Token: a.refresh, JKT: a.jkt})
	if err == nil {
		a.refresh = string(r.Token)
	}
	return err
}

// IR04, IR06
func TestAnyAuthenticTokenEndsItsSession(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		for name, pick := range map[string]func(t *testing.T, a *signedIn) string{
			"the refresh token": func(_ *testing.T, a *signedIn) string { return a.refresh },
			"an older refresh token": func(t *testing.T, a *signedIn) string {
				old := a.refresh
				for range 3 {
					if err := a.rotate(); err != nil {
						t.Fatal(err)
					}
				}
				return old
			},
			"the access token": func(_ *testing.T, a *signedIn) string { return a.access },
			"an expired access token": func(_ *testing.T, a *signedIn) string {
				h.step(time.Hour)
				return a.access
			},
		} {
			t.Run(name, func(t *testing.T) {
				a := h.signIn(t, phone, thumb)
				token := pick(t, a)
				for range 2 { // the second time it is over already, which is no error
					if err := h.Revoke(t.Context(), phone, token); err != nil {
						t.Fatal(err)
					}
				}
				if got := a.endedFor(t); got != domain.EndedBySignOut {
					t.Errorf("the session ended for %q", got)
				}
				wantCode(t, a.rotate(), oauth.InvalidGrant)
				if h.introspect(t, todos, h.mint(t, a.wants())).Active {
					t.Error("an access token is active")
				}
			})
		}
	})
}

// IR04, rfc7009-2.2.1-02
func TestRevocationsThatAreRefusedChangeNothing(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		wantCode(t, h.Revoke(t.Context(), other, a.refresh), oauth.UnauthorizedClient)
		wantCode(t, h.Revoke(t.Context(), web, a.access), oauth.UnauthorizedClient)
		machine := h.mint(t, Access{Client: robot, Audience: api})
		wantCode(t, h.Revoke(t.Context(), phone, machine), oauth.UnauthorizedClient)
		wantCode(t, h.Revoke(t.Context(), robot, machine), oauth.UnsupportedTokenType)

		id, err := h.MintID(h.DB.Now(), ID{Client: phone, AccountID: a.session.AccountID, SessionID: a.session.ID})
		if err != nil {
			t.Fatal(err)
		}
		for name, token := range map[string]string{
			"nothing": "", "garbage": "garbage", "a damaged refresh token": a.refresh[:87] + "_",
			"a damaged access token": a.access[:len(a.access)-8] + "AAAAAAAA", "an ID token": id,
		} {
			if err := h.Revoke(t.Context(), phone, token); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := a.endedFor(t); got != "" {
			t.Errorf("the session ended for %q", got)
		}
	})
}

// IR05
func TestAStorageErrorIsNoRevocation(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		h.DB.Close()
		wantCode(t, h.Revoke(t.Context(), phone, a.refresh), oauth.TemporarilyUnavailable)
		wantCode(t, h.Revoke(t.Context(), phone, a.access), oauth.TemporarilyUnavailable)
	})
}

// IR06: whatever the order, once the revocation is answered no refresh succeeds.
func TestRevokingDuringRefreshes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		h.Sessions.AdvancesPerMinute = -1
		for range 20 {
			a := h.signIn(t, phone, thumb)
			begun := *a
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					one := begun
					for one.rotate() == nil {
					}
				})
			}
			if err := h.Revoke(t.Context(), phone, begun.refresh); err != nil {
				t.Fatal(err)
			}
			wantCode(t, a.rotate(), oauth.InvalidGrant)
			all.Wait()
		}
	})
}

// RT18
func TestTokensOfOneKindAreNotTakenForAnother(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		id, err := h.MintID(h.DB.Now(), ID{Client: phone, AccountID: a.session.AccountID, SessionID: a.session.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{a.access, id} {
			as := *a
			as.refresh = token
			wantCode(t, as.rotate(), oauth.InvalidGrant)
		}
		for _, token := range []string{a.refresh, id} {
			if _, err := h.Checker(nil).Check(t.Context(), token, h.DB.Now()); !refused(err) {
				t.Errorf("error %v", err)
			}
		}
	})
}
