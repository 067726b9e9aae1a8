package signin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/house"
)

// person is somebody signed in, about to change their account.
type person struct {
	*house.House
	in *signin.Result
}

func enter(t *testing.T, h *house.House, p *standin.Provider, token standin.TokenRequest) person {
	t.Helper()
	return person{h, h.Enter(t, h.Request(t, p, token, house.Todo, h.Phone(t).JKT()))}
}

// manage is a request by a person whose access token proves nothing about when they signed in.
func (p person) manage(t *testing.T) signin.Manage {
	t.Helper()
	view, err := p.DB.Session(t.Context(), p.in.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	return signin.Manage{Client: p.Client(house.Todo), Session: view, JKT: view.JKT}
}

// fresh is the same, a minute after they signed in.
func (p person) fresh(t *testing.T) signin.Manage {
	t.Helper()
	m := p.manage(t)
	m.AuthTime = p.DB.Now().Add(-time.Minute)
	return m
}

func (p person) evidence(t *testing.T, from *standin.Provider, token standin.TokenRequest, purpose signin.Purpose) signin.Evidence {
	t.Helper()
	return p.Evidence(t, from, token, house.Todo, p.in.Session.JKT, purpose)
}

func TestLink(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		e := ada.evidence(t, h.Corp, house.CorpToken("ada-at-work"), signin.PurposeLink)
		linked, added, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
		if err != nil || !added || linked.Provider != "corp" || linked.AccountID != ada.in.Session.AccountID {
			t.Fatalf("linked %+v, %v, %v", linked, added, err)
		}
		t.Run("then signs in to the same account", func(t *testing.T) {
			second := enter(t, h, h.Corp, house.CorpToken("ada-at-work"))
			if second.in.NewAccount || second.in.Session.AccountID != ada.in.Session.AccountID {
				t.Error("another account")
			}
		})
		t.Run("again is no change", func(t *testing.T) {
			e := ada.evidence(t, h.Corp, house.CorpToken("ada-at-work"), signin.PurposeLink)
			again, added, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
			if err != nil || added || again.ID != linked.ID {
				t.Fatalf("linked %+v, %v, %v", again, added, err)
			}
		})
		t.Run("with a spent nonce is refused", func(t *testing.T) {
			_, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
			wantCode(t, err, oauth.InvalidRequest)
		})
		t.Run("with a nonce for signing in is refused", func(t *testing.T) {
			e := ada.evidence(t, h.Apple, house.AppleToken("ada"), signin.PurposeSignIn)
			_, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
			wantCode(t, err, oauth.InvalidRequest)
		})
		t.Run("ID17 of an identity with another account is a conflict", func(t *testing.T) {
			bob := enter(t, h, h.Google, house.GoogleToken("bob"))
			e := bob.evidence(t, h.Corp, house.CorpToken("ada-at-work"), signin.PurposeLink)
			_, _, err := h.SignIn.Link(t.Context(), bob.fresh(t), e)
			wantReason(t, err, signin.LinkedElsewhere)
			if got := identities(t, h, bob.in.Session.AccountID); len(got) != 1 {
				t.Errorf("identities %+v", got)
			}
		})
		t.Run("from an ended session is refused", func(t *testing.T) {
			bob := enter(t, h, h.Google, house.GoogleToken("bob"))
			m := bob.fresh(t)
			if err := h.Sessions.End(t.Context(), bob.in.Session.ID, domain.EndedBySignOut); err != nil {
				t.Fatal(err)
			}
			e := bob.evidence(t, h.Corp, house.CorpToken("bob-at-work"), signin.PurposeLink)
			_, _, err := h.SignIn.Link(t.Context(), m, e)
			wantCode(t, err, oauth.InvalidToken)
		})
		wantActions(t, h, ada.in.Session.AccountID,
			"account.create", "identity.link", "session.start", "identity.link", "session.start")
	})
}

// ID17, DESIGN section 4: auth_time within five minutes or a fresh id_token of an identity on the account.
func TestStepUp(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		enter(t, h, h.Google, house.GoogleToken("bob"))
		reauth := func(t *testing.T, token standin.TokenRequest, purpose signin.Purpose) *signin.Evidence {
			e := ada.evidence(t, h.Google, token, purpose)
			return &e
		}
		for _, tt := range []struct {
			name string
			with func(t *testing.T, m *signin.Manage)
			ok   bool
		}{
			{"no proof", func(*testing.T, *signin.Manage) {}, false},
			{"auth_time of a minute ago", func(_ *testing.T, m *signin.Manage) { m.AuthTime = h.DB.Now().Add(-time.Minute) }, true},
			{"auth_time of six minutes ago", func(_ *testing.T, m *signin.Manage) { m.AuthTime = h.DB.Now().Add(-6 * time.Minute) }, false},
			{"auth_time in the future", func(_ *testing.T, m *signin.Manage) { m.AuthTime = h.DB.Now().Add(time.Hour) }, false},
			{"a fresh id_token", func(t *testing.T, m *signin.Manage) {
				m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeReauth)
			}, true},
			{"a fresh id_token beside an old auth_time", func(t *testing.T, m *signin.Manage) {
				m.AuthTime = h.DB.Now().Add(-time.Hour)
				m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeReauth)
			}, true},
			{"an id_token of six minutes ago", func(t *testing.T, m *signin.Manage) {
				token := house.GoogleToken("ada")
				token.IssuedAt = h.DB.Now().Add(-6 * time.Minute)
				m.Reauth = reauth(t, token, signin.PurposeReauth)
			}, false},
			{"a fresh id_token with a nonce for signing in", func(t *testing.T, m *signin.Manage) {
				m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeSignIn)
			}, false},
			{"a fresh id_token without a nonce", func(t *testing.T, m *signin.Manage) {
				m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeReauth)
				m.Reauth.Nonce = ""
			}, false},
			{"a fresh id_token of somebody else", func(t *testing.T, m *signin.Manage) {
				m.Reauth = reauth(t, house.GoogleToken("bob"), signin.PurposeReauth)
			}, false},
			{"a fresh id_token of nobody we know", func(t *testing.T, m *signin.Manage) {
				m.Reauth = reauth(t, house.GoogleToken("nobody"), signin.PurposeReauth)
			}, false},
			{"a forged id_token", func(t *testing.T, m *signin.Manage) {
				token := house.GoogleToken("ada")
				token.Forgery = standin.BadSignature
				m.Reauth = reauth(t, token, signin.PurposeReauth)
			}, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				m := ada.manage(t)
				tt.with(t, &m)
				_, err := h.SignIn.EndOthers(t.Context(), m)
				if tt.ok {
					if err != nil {
						t.Fatal(err)
					}
					if m.Reauth == nil {
						return
					}
					_, err = h.SignIn.EndOthers(t.Context(), m) // its nonce is good once
				}
				wantStepUp(t, err)
			})
		}
		t.Run("is asked for once, if the answer to ending a session is lost", func(t *testing.T) {
			tablet := enter(t, h, h.Google, house.GoogleToken("ada"))
			m := ada.manage(t)
			m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeReauth)
			for range 2 {
				if err := h.SignIn.EndSession(t.Context(), m, tablet.in.Session.ID); err != nil {
					t.Fatal(err)
				}
			}
			watch := enter(t, h, h.Google, house.GoogleToken("ada"))
			wantStepUp(t, h.SignIn.EndSession(t.Context(), m, watch.in.Session.ID))
		})
		t.Run("is consumed together with unlinking", func(t *testing.T) {
			e := ada.evidence(t, h.Corp, house.CorpToken("ada-for-a-day"), signin.PurposeLink)
			linked, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
			if err != nil {
				t.Fatal(err)
			}
			m := ada.manage(t)
			m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeReauth)
			if err := h.SignIn.Unlink(t.Context(), m, linked.ID); err != nil {
				t.Fatal(err)
			}
			_, err = h.SignIn.EndOthers(t.Context(), m)
			wantStepUp(t, err)
		})
		t.Run("is consumed together with a link", func(t *testing.T) {
			m := ada.manage(t)
			m.Reauth = reauth(t, house.GoogleToken("ada"), signin.PurposeReauth)
			e := ada.evidence(t, h.Corp, house.CorpToken("ada-at-work"), signin.PurposeLink)
			if _, added, err := h.SignIn.Link(t.Context(), m, e); err != nil || !added {
				t.Fatal(added, err)
			}
			e = ada.evidence(t, h.Apple, house.AppleToken("ada"), signin.PurposeLink)
			_, _, err := h.SignIn.Link(t.Context(), m, e)
			wantCode(t, err, oauth.InvalidRequest)
		})
		t.Run("comes before everything else when linking", func(t *testing.T) {
			_, _, err := h.SignIn.Link(t.Context(), ada.manage(t), signin.Evidence{})
			wantStepUp(t, err)
		})
	})
}

// A sentence names the member of the request it speaks of.
func TestRefusedReauthenticationNamesWhatWasSent(t *testing.T) {
	h := house.OnSQLite(t)
	ada := enter(t, h, h.Apple, house.AppleToken("ada"))
	for _, tt := range []struct {
		name, want string
		with       func(e *signin.Evidence)
	}{
		{"no token", "reauth_token is missing", func(e *signin.Evidence) { e.SubjectToken = "" }},
		{"no JWT", "reauth_token is not an id_token", func(e *signin.Evidence) { e.SubjectToken = "a.b.c" }},
		{"no nonce", "reauth_nonce is missing", func(e *signin.Evidence) { e.Nonce = "" }},
		{"a made-up nonce", "reauth_nonce is not one of ours", func(e *signin.Evidence) { e.Nonce = "x" }},
		{"a nonce for signing in", "reauth_nonce was asked for with another purpose", func(e *signin.Evidence) {
			*e = ada.evidence(t, h.Apple, house.AppleToken("ada"), signin.PurposeSignIn)
		}},
		{"no code", "as reauth_provider_code", func(e *signin.Evidence) { e.ProviderCode = "" }},
		{"another code", "reauth_provider_code is not the authorization code", func(e *signin.Evidence) { e.ProviderCode += "x" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := ada.manage(t)
			e := ada.evidence(t, h.Apple, house.AppleToken("ada"), signin.PurposeReauth)
			tt.with(&e)
			m.Reauth = &e
			_, err := h.SignIn.EndOthers(t.Context(), m)
			wantStepUp(t, err)
			said := oauth.AsError(err).Description
			for _, other := range []string{"subject_token", " nonce is", " provider_code"} {
				if !strings.Contains(said, tt.want) || strings.Contains(said, other) {
					t.Errorf("said %q", said)
				}
			}
		})
	}
}

func TestUnlink(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		bob := enter(t, h, h.Google, house.GoogleToken("bob"))
		t.Run("ID18 not the last", func(t *testing.T) {
			wantReason(t, h.SignIn.Unlink(t.Context(), ada.fresh(t), ada.in.Session.IdentityID), signin.LastIdentity)
		})
		t.Run("SE14 not somebody else's", func(t *testing.T) {
			wantReason(t, h.SignIn.Unlink(t.Context(), ada.fresh(t), bob.in.Session.IdentityID), signin.NotFound)
		})
		e := ada.evidence(t, h.Corp, house.CorpToken("ada-at-work"), signin.PurposeLink)
		linked, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("not without a fresh proof", func(t *testing.T) {
			wantStepUp(t, h.SignIn.Unlink(t.Context(), ada.manage(t), linked.ID))
		})
		t.Run("one of two", func(t *testing.T) {
			if err := h.SignIn.Unlink(t.Context(), ada.fresh(t), ada.in.Session.IdentityID); err != nil {
				t.Fatal(err)
			}
			if got := identities(t, h, ada.in.Session.AccountID); len(got) != 1 || got[0].ID != linked.ID {
				t.Errorf("identities %+v", got)
			}
			// The identity is free: whoever signs in with it is somebody new.
			if again := enter(t, h, h.Google, house.GoogleToken("ada")); !again.in.NewAccount {
				t.Error("the unlinked identity still signs in to the account")
			}
		})
	})
}

func TestUnlinkBothOfTwoAtOnce(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		for range 5 {
			ada := enter(t, h, h.Google, house.GoogleToken("ada"+hexSum(h.DB.Now().String())))
			e := ada.evidence(t, h.Corp, house.CorpToken("work"+hexSum(h.DB.Now().String())), signin.PurposeLink)
			linked, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
			if err != nil {
				t.Fatal(err)
			}
			ids := []domain.IdentityID{ada.in.Session.IdentityID, linked.ID}
			m := ada.fresh(t)
			_, errs := atOnce(2, func(i int) (any, error) { return nil, h.SignIn.Unlink(t.Context(), m, ids[i]) })
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("exactly one must go: %v, %v", errs[0], errs[1])
			}
			wantReason(t, errors.Join(errs...), signin.LastIdentity)
			if got := identities(t, h, ada.in.Session.AccountID); len(got) != 1 {
				t.Fatalf("identities %+v", got)
			}
		}
	})
}

func TestEndSessions(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		tablet := enter(t, h, h.Google, house.GoogleToken("ada"))
		watch := enter(t, h, h.Google, house.GoogleToken("ada"))
		bob := enter(t, h, h.Google, house.GoogleToken("bob"))
		live := func(t *testing.T, p person, want bool) {
			t.Helper()
			v, err := h.DB.Session(t.Context(), p.in.Session.ID)
			if err != nil || v.Live(h.DB.Now()) != want {
				t.Fatalf("live %v, %v; want %v", v.Live(h.DB.Now()), err, want)
			}
		}
		t.Run("SE14 somebody else's is not found", func(t *testing.T) {
			wantReason(t, h.SignIn.EndSession(t.Context(), ada.fresh(t), bob.in.Session.ID), signin.NotFound)
			wantReason(t, h.SignIn.EndSession(t.Context(), ada.manage(t), bob.in.Session.ID), signin.NotFound)
			wantReason(t, h.SignIn.EndSession(t.Context(), ada.fresh(t), domain.SessionID{1}), signin.NotFound)
			live(t, bob, true)
		})
		t.Run("another of one's own needs a fresh proof", func(t *testing.T) {
			wantStepUp(t, h.SignIn.EndSession(t.Context(), ada.manage(t), tablet.in.Session.ID))
			live(t, tablet, true)
			if err := h.SignIn.EndSession(t.Context(), ada.fresh(t), tablet.in.Session.ID); err != nil {
				t.Fatal(err)
			}
			live(t, tablet, false)
		})
		t.Run("twice is no error", func(t *testing.T) {
			if err := h.SignIn.EndSession(t.Context(), ada.fresh(t), tablet.in.Session.ID); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("all others", func(t *testing.T) {
			n, err := h.SignIn.EndOthers(t.Context(), ada.fresh(t))
			if err != nil || n != 1 {
				t.Fatalf("ended %d, %v; want the watch alone", n, err)
			}
			live(t, watch, false)
			live(t, ada, true)
			live(t, bob, true)
		})
		t.Run("one's own needs none", func(t *testing.T) {
			if err := h.SignIn.EndSession(t.Context(), ada.manage(t), ada.in.Session.ID); err != nil {
				t.Fatal(err)
			}
			live(t, ada, false)
		})
		ends(t, h, ada.in.Session.AccountID, tablet, watch, ada)
	})
}

// ends asserts one audit row for each ended session, by the person, naming that session.
func ends(t *testing.T, h *house.House, acc domain.AccountID, want ...person) {
	t.Helper()
	for _, p := range want {
		events, err := h.DB.Events(t.Context(), acc, p.in.Session.ID, 100)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, e := range events {
			if e.Action == "session.end" {
				n++
				if e.Actor != "account "+acc.String() || e.Reason != string(domain.EndedByUser) || e.ClientID != house.Todo {
					t.Errorf("row %+v", e)
				}
			}
		}
		if n != 1 {
			t.Errorf("session %v has %d rows of its end", p.in.Session.ID, n)
		}
	}
}

func wantReason(t *testing.T, err error, want signin.Reason) {
	t.Helper()
	var refused *signin.Refusal
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Fatalf("got %v, want %s", err, want)
	}
}

func wantStepUp(t *testing.T, err error) {
	t.Helper()
	wantCode(t, err, oauth.InsufficientUserAuth)
	if e := oauth.AsError(err); e.MaxAge != 5*time.Minute {
		t.Errorf("max_age %v", e.MaxAge)
	}
}
