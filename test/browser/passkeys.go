package browser

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Passkeys is the browser's virtual authenticator: a phone's own, with discoverable passkeys and a person who agrees
// to everything.
type Passkeys struct {
	browser *Browser
	id      webauthn.AuthenticatorID
}

// Passkeys gives the browser an authenticator. Call it before a page asks for one.
func (b *Browser) Passkeys() *Passkeys {
	b.t.Helper()
	call(b, "enable passkeys", webauthn.Enable, webauthn.EnableParams{})
	added := call(b, "add an authenticator", webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Ctap2version: "ctap2_1", Transport: "internal", HasResidentKey: true, HasUserVerification: true,
			IsUserVerified: true, AutomaticPresenceSimulation: true,
		},
	})
	return &Passkeys{browser: b, id: added.AuthenticatorID}
}

// Count tells how many passkeys there are.
func (p *Passkeys) Count() int {
	p.browser.t.Helper()
	kept := call(p.browser, "count passkeys", webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: p.id})
	return len(kept.Credentials)
}

// Verify sets whether the person's finger is recognised from now on.
func (p *Passkeys) Verify(recognised bool) {
	p.browser.t.Helper()
	call(p.browser, "set user verification", webauthn.SetUserVerified,
		webauthn.SetUserVerifiedParams{AuthenticatorID: p.id, IsUserVerified: recognised})
}

// WithoutConditional makes this a browser that offers no passkeys inside fields, on pages opened from now on: there the
// authenticator, which agrees to everything, would be faster than the person.
func (b *Browser) WithoutConditional() {
	b.t.Helper()
	call(b, "take conditional mediation away", page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: "PublicKeyCredential.isConditionalMediationAvailable = async () => false",
	})
}

// call runs a command of the browser's protocol.
func call[P, R any](b *Browser, what string, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return result
}
