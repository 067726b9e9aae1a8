package house

import (
	"testing"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/standin"
)

// GoogleToken is what Google issues to an Android phone of the Todo app.
func GoogleToken(subject string) standin.TokenRequest {
	return standin.GoogleAndroid("web.example", "android.example", standin.Person{
		Subject: subject, Email: subject + "@gmail.com", Name: "Ada Lovelace",
	})
}

// AppleToken is what Apple issues to the Todo app.
func AppleToken(subject string) standin.TokenRequest {
	return standin.AppleNative(Todo, standin.Person{Subject: subject, Email: subject + "@icloud.com", Name: "Ada Lovelace"})
}

// CorpToken is what the company's provider issues to mobile apps.
func CorpToken(subject string) standin.TokenRequest {
	return standin.OpenIDNative("mobile", standin.Person{Subject: subject, Email: subject + "@corp.example"})
}

// Phone is a device with a key.
func (h *House) Phone(t testing.TB) *dpop.Prover {
	t.Helper()
	p, err := dpop.NewProver()
	check(t, err)
	return p
}

// Evidence lets a provider issue a token for a fresh nonce of ours.
func (h *House) Evidence(t testing.TB, p *standin.Provider, tr standin.TokenRequest, clientID, jkt string, purpose signin.Purpose) signin.Evidence {
	t.Helper()
	nonce, err := h.SignIn.Challenge(h.DB.Now(), clientID, jkt, purpose)
	check(t, err)
	tr.Nonce = nonce
	c, err := p.Issue(tr)
	check(t, err)
	return signin.Evidence{SubjectToken: c.IDToken, Nonce: nonce, ProviderCode: c.Code, User: c.User}
}

// Request is a sign-in with fresh evidence that asks for everything.
func (h *House) Request(t testing.TB, p *standin.Provider, tr standin.TokenRequest, clientID, jkt string) signin.Request {
	t.Helper()
	return signin.Request{
		Client: h.Client(clientID), JKT: jkt, Evidence: h.Evidence(t, p, tr, clientID, jkt, signin.PurposeSignIn),
		Scope:     []string{oauth.ScopeOpenID, oauth.ScopeOfflineAccess, oauth.ScopeAccountRead, oauth.ScopeAccountManage},
		Resources: []string{Issuer}, DeviceName: "Ada's phone",
	}
}

// Enter signs a person in.
func (h *House) Enter(t testing.TB, r signin.Request) *signin.Result {
	t.Helper()
	in, err := h.SignIn.Native(t.Context(), r)
	if err != nil {
		t.Fatalf("sign in: %v", err)
	}
	return in
}
