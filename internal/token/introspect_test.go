package token

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

func (h *house) introspect(t testing.TB, r *domain.Resource, token string) Introspection {
	t.Helper()
	i, err := h.Introspect(context.Background(), r, token)
	if err != nil {
		t.Errorf("introspect: %v", err)
	}
	return i
}

// rfc7662-2.2
func TestIntrospectionOfALiveToken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		bound, bearerApp := h.signIn(t, phone, thumb), h.signIn(t, phone, "")
		got := h.introspect(t, todos, bound.access)
		want := Introspection{
			Active: true, Scope: "openid todos.read", ClientID: phone.ID, TokenType: "DPoP",
			Exp: h.now().Unix() + 600, Iat: h.now().Unix(), Sub: bound.session.AccountID.String(), Aud: api, Iss: issuer,
			Jti: got.Jti, Sid: bound.session.ID.String(), Cnf: map[string]string{"jkt": thumb},
		}
		if diff := cmp.Diff(want, got); diff != "" || got.Jti == "" {
			t.Error(diff)
		}
		if got := h.introspect(t, todos, bearerApp.access); !got.Active || got.TokenType != "Bearer" || got.Cnf != nil {
			t.Errorf("bearer: %+v", got)
		}
		machine := h.mint(t, Access{Client: robot, Audience: api})
		if got := h.introspect(t, todos, machine); !got.Active || got.Sub != robot.ID || got.Sid != "" {
			t.Errorf("machine: %+v", got)
		}
	})
}

// IR02, RS01, rfc7662-4-07
func TestWhatIsNotForTheAskingResourceIsInactive(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		id, err := h.MintID(h.DB.Now(), ID{Client: phone, AccountID: a.session.AccountID, SessionID: a.session.ID})
		if err != nil {
			t.Fatal(err)
		}
		wants := a.wants()
		wants.Audience = issuer
		for name, c := range map[string]struct {
			r     *domain.Resource
			token string
		}{
			"another resource's token": {photos, a.access},
			"a token for the issuer":   {todos, h.mint(t, wants)},
			"a refresh token":          {todos, a.refresh},
			"an ID token":              {todos, id},
			"nothing":                  {todos, ""},
			"garbage":                  {todos, "gar.ba.ge"},
			"a damaged token":          {todos, a.access[:len(a.access)-8] + "AAAAAAAA"},
			"a resource without name":  {&domain.Resource{}, a.access},
		} {
			if got := h.introspect(t, c.r, c.token); !cmp.Equal(got, Introspection{}) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// rfc7662-4-01, rfc7662-4-02
func TestWhatNoLongerLivesIsInactive(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		for name, end := range map[string]func(a *signedIn) error{
			"session ended": func(a *signedIn) error { return h.Sessions.End(ctx, a.session.ID, domain.EndedByUser) },
			"account disabled": func(a *signedIn) error {
				_, err := h.DB.SetAccountState(ctx, a.session.AccountID, domain.AccountDisabled, domain.Event{At: h.now()})
				return err
			},
			"client disabled": func(a *signedIn) error {
				return h.DB.SetClientDisabled(ctx, a.client.ID, true, domain.Event{At: h.now()})
			},
			"token expired": func(*signedIn) error { h.step(6 * time.Minute); return nil },
		} {
			client := phone
			if name == "client disabled" {
				client = other
			}
			a := h.signIn(t, client, "")
			if got := h.introspect(t, todos, a.access); !got.Active {
				t.Fatalf("%s: inactive before", name)
			}
			if err := end(a); err != nil {
				t.Fatal(err)
			}
			if got := h.introspect(t, todos, a.access); !cmp.Equal(got, Introspection{}) {
				t.Errorf("%s: %+v", name, got)
			}
		}
		machine := h.mint(t, Access{Client: robot, Audience: api})
		if err := h.DB.SetClientDisabled(ctx, robot.ID, true, domain.Event{At: h.now()}); err != nil {
			t.Fatal(err)
		}
		if got := h.introspect(t, todos, machine); got.Active {
			t.Error("the token of a disabled machine is active")
		}
	})
}

// rfc7662-4-08: nobody says when our tokens begin, but a key of ours may be older than this version.
func TestATokenWhoseValidityHasNotBegunIsInactive(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		signer, err := h.Keys.Signer(domain.ES256)
		if err != nil {
			t.Fatal(err)
		}
		_, claims := parts(t, h.signIn(t, phone, "").access)
		for _, moment := range []struct {
			name   string
			begins time.Duration // from now
			want   bool
		}{
			{"begun", -time.Minute, true},
			{"within the drift of two nodes", nodeDrift, true},
			{"just beyond it", nodeDrift + time.Second, false},
			{"in five minutes", 5 * time.Minute, false},
		} {
			claims["nbf"] = h.now().Add(moment.begins).Unix()
			token, err := signer.Sign(typeAccess, claims)
			if err != nil {
				t.Fatal(err)
			}
			got := h.introspect(t, todos, token)
			if got.Active != moment.want || !moment.want && !cmp.Equal(got, Introspection{}) {
				t.Errorf("%s: %+v", moment.name, got)
			}
		}
	})
}

// A token must agree with the session it names, or with the client it says it is.
// rfc8725-3.8-02
func TestATokenThatContradictsItsSessionIsInactive(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a, b := h.signIn(t, phone, ""), h.signIn(t, phone, "")
		for name, change := range map[string]func(*Access){
			"another account":   func(x *Access) { x.AccountID = b.session.AccountID },
			"another client":    func(x *Access) { x.Client = other },
			"a session unknown": func(x *Access) { x.SessionID[3] ^= 1 },
		} {
			x := a.wants()
			change(&x)
			if got := h.introspect(t, todos, h.mint(t, x)); got.Active {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

func TestWithoutADatabaseNothingIsSaidAboutAToken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		h.DB.Close()
		_, err := h.Introspect(t.Context(), todos, a.access)
		wantCode(t, err, oauth.TemporarilyUnavailable)
		_, err = h.Introspect(t.Context(), todos, h.mint(t, Access{Client: robot, Audience: api}))
		wantCode(t, err, oauth.TemporarilyUnavailable)
		if got := h.introspect(t, todos, a.refresh); got.Active {
			t.Error("a refresh token is active")
		}
	})
}
