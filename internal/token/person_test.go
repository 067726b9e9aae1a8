package token

import (
	"context"
	"crypto"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/store"
)

func TestTheAddressThatIsToldIsThatOfTheIdentityThatSignedIn(t *testing.T) {
	id := func() domain.IdentityID { return domain.NewID[domain.IdentityID]() }
	passkey := domain.Identity{ID: id(), Name: ""}
	unsure := domain.Identity{ID: id(), Email: "a@x.example", Name: "A"}
	sure := domain.Identity{ID: id(), Email: "b@x.example", EmailVerified: true, Name: "B"}
	later := domain.Identity{ID: id(), Email: "c@x.example", EmailVerified: true}
	for _, c := range []struct {
		name string
		list []domain.Identity
		with domain.IdentityID
		want string
	}{
		{"the one that signed in", []domain.Identity{sure, unsure}, unsure.ID, "a@x.example"},
		{"with a passkey, the oldest that is verified", []domain.Identity{unsure, passkey, sure, later}, passkey.ID, "b@x.example"},
		{"after it was unlinked", []domain.Identity{unsure}, sure.ID, "a@x.example"},
		{"of none there is none", []domain.Identity{passkey}, passkey.ID, ""},
	} {
		claims := describePerson(&store.ProfileRow{}, c.list, c.with)
		got, _ := claims["email"].(string)
		if _, said := claims["email_verified"]; got != c.want || said != (c.want != "") {
			t.Errorf("%s: %v", c.name, claims)
		}
	}
}

// oidc-core-5.3.2-02
func TestWhatIsNotKnownIsLeftOut(t *testing.T) {
	claims := describePerson(&store.ProfileRow{}, nil, domain.IdentityID{})
	if len(claims) != 1 || claims["updated_at"] == nil {
		t.Errorf("%v", claims)
	}
}

// SE04: what else we sign says who somebody is as well, to others than the client that signed them in.
func TestOnlyAnIDTokenIsAHint(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		signed := *phone
		signed.UserInfoAlg = signed.IDAlg()
		who := a.session.AccountID.String()
		must := func(raw string, err error) string {
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		id := must(h.MintID(h.now(), ID{Client: &signed, AccountID: a.session.AccountID, SessionID: a.session.ID}))
		if hint, err := h.Hint(t.Context(), id); err != nil || hint == nil || hint.Subject != who || hint.SessionID != a.session.ID {
			t.Errorf("an ID token: %+v %v", hint, err)
		}
		for name, raw := range map[string]string{
			"userinfo":           must(h.MintUserInfo(&signed, map[string]any{"sub": who, "updated_at": h.now().Unix()})),
			"userinfo and a sid": must(h.MintUserInfo(&signed, map[string]any{"sub": who, "sid": a.session.ID.String()})),
			"an access token":    a.access,
			"a logout token":     must(h.MintLogout(h.now(), Logout{Client: &signed, AccountID: a.session.AccountID, SessionID: a.session.ID})),
		} {
			if hint, err := h.Hint(t.Context(), raw); hint != nil || err != nil {
				t.Errorf("%s: %+v %v", name, hint, err)
			}
		}
	})
}

// A logout token passes for nothing else, and nothing else for it: RS01, oidc-backchannel-2.4-03
func TestALogoutTokenIsNoOtherToken(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		a := h.signIn(t, phone, "")
		raw, err := h.MintLogout(h.now(), Logout{Client: phone, AccountID: a.session.AccountID, SessionID: a.session.ID})
		if err != nil {
			t.Fatal(err)
		}
		if hint, err := h.Hint(t.Context(), raw); hint != nil || err != nil {
			t.Errorf("as a hint: %+v %v", hint, err)
		}
		if got := h.introspect(t, todos, raw); got.Active {
			t.Error("as an access token it is active")
		}
		policy := jose.Policy{Algs: []jose.Alg{jose.ES256}, Typ: "logout+jwt"}
		claims, _, err := jose.Verify(t.Context(), raw, policy, func(ctx context.Context, j jose.Header) (crypto.PublicKey, error) {
			return h.Keys.PublicKey(ctx, j.Kid, j.Alg)
		})
		if err != nil || claims.Has("nonce") || !claims.Has("events") {
			t.Errorf("%+v %v", claims, err)
		}
	})
}
