package signon_test

import (
	"testing"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// A person of a company signs in on the phone with Microsoft's id_token and in the browser by redirect: one account, named
// by tenant and object, whatever the addresses say.
func TestMicrosoftOnThePhoneAndInTheBrowserIsOneAccount(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		alice := w.Microsoft.PersonNamed("alice")
		phone := w.Phone("phone", func(c *standin.PhoneConfig) {
			c.ClientID, c.Scope, c.Resources = "com.example.entra", "openid offline_access account.read", nil
		})
		if _, err := phone.SignIn(t.Context(), w.Microsoft.Prompt(standin.MicrosoftNative("entra.mobile", alice))); err != nil {
			t.Fatal(err)
		}
		native, err := phone.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := byProvider(t, w, w.Microsoft, "microsoft", "alice"); got != native.ID {
			t.Errorf("%s in the browser, %s on the phone", got, native.ID)
		}
		// The same object id in another tenant is somebody else.
		stranger := alice
		stranger.Tenant = "11111111-2222-4333-8444-555555555555"
		other := w.Phone("other", func(c *standin.PhoneConfig) {
			c.ClientID, c.Scope, c.Resources = "com.example.entra", "openid offline_access account.read", nil
		})
		if _, err := other.SignIn(t.Context(), w.Microsoft.Prompt(standin.MicrosoftNative("entra.mobile", stranger))); err != nil {
			t.Fatal(err)
		}
		if b, err := other.Account(t.Context()); err != nil || b.ID == native.ID {
			t.Errorf("%+v (%v)", b, err)
		}
	}, harness.Clients(`  - id: com.example.entra
    type: native
    providers: [{name: microsoft, audiences: [entra.mobile]}]
    scopes: [openid, offline_access, account.read]
`))
}
