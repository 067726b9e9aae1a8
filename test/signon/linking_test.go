package signon_test

import (
	"testing"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// someone is known to a provider under a user name.
func someone(t *testing.T, p *standin.Provider, username, email string, more ...func(*standin.Person)) standin.Person {
	t.Helper()
	who := standin.Person{Username: username, Subject: "sub-" + username, Email: email, Name: username}
	for _, m := range more {
		m(&who)
	}
	if err := p.AddPerson(who); err != nil {
		t.Fatal(err)
	}
	return who
}

func hosted(domain string) func(*standin.Person) {
	return func(p *standin.Person) { p.HostedDomain = domain }
}

// natively signs in with Google on a phone.
func natively(t *testing.T, w *harness.World, who standin.Person) string {
	t.Helper()
	phone := w.Phone("phone of " + who.Username)
	if _, err := phone.SignIn(t.Context(), w.Google.Prompt(standin.GoogleAndroid(harness.GoogleWeb, harness.GoogleAndroid, who))); err != nil {
		t.Fatal(err)
	}
	a, err := phone.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// Decision 8: who joins whom by an address.
func TestAccountsAreJoinedOnlyWhereBothEndsProveTheAddress(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		links := func() int { return actions(t, w)["identity.link"] }
		t.Run("a code, then Google that gives the address out, natively", func(t *testing.T) {
			who := someone(t, w.Google, "ada", "ada@gmail.com")
			first, before := byMail(t, w, who.Email), links()
			if again := natively(t, w, who); again != first {
				t.Errorf("%s, then %s", first, again)
			}
			if links() != before+1 {
				t.Errorf("no identity.link: %v", actions(t, w))
			}
			if b := byProvider(t, w, w.Google, "google", "ada"); b != first {
				t.Errorf("%s, then %s", first, b)
			}
		})
		t.Run("a code, then Google for the company's domain, by browser", func(t *testing.T) {
			who := someone(t, w.Google, "ben", "ben@corp.example", hosted("corp.example"))
			first, before := byMail(t, w, who.Email), links()
			if again := byProvider(t, w, w.Google, "google", "ben"); again != first {
				t.Errorf("%s, then %s", first, again)
			}
			if links() != before+1 {
				t.Errorf("no identity.link: %v", actions(t, w))
			}
		})
		t.Run("ID16 a code, then Google that only knows the address", func(t *testing.T) {
			who := someone(t, w.Google, "cid", "cid@elsewhere.example")
			first := byMail(t, w, who.Email)
			if again := byProvider(t, w, w.Google, "google", "cid"); again == first {
				t.Error("joined in the browser")
			}
			native := who
			native.Subject, native.Username = "sub-cid-2", "cid2"
			if again := natively(t, w, native); again == first {
				t.Error("joined natively")
			}
		})
		t.Run("ID12 ID16 an address that is not verified, even Google's own", func(t *testing.T) {
			someone(t, w.Google, "dan", "dan@gmail.com", func(p *standin.Person) { p.UnverifiedEmail = true })
			first := byMail(t, w, "dan@gmail.com")
			if again := byProvider(t, w, w.Google, "google", "dan"); again == first {
				t.Error("joined")
			}
		})
		t.Run("ID12 who came first with an address nobody proved gets nobody", func(t *testing.T) {
			mallory := someone(t, w.Corp, "mallory", "eve@gmail.com")
			pre := byProvider(t, w, w.Corp, "corp", mallory.Username)
			who := someone(t, w.Google, "eve", "eve@gmail.com")
			if got := byMail(t, w, who.Email); got == pre {
				t.Error("the code opens the account that was waiting for it")
			}
			if got := byProvider(t, w, w.Google, "google", "eve"); got == pre {
				t.Error("Google opens the account that was waiting for it")
			}
		})
		t.Run("Google for a company first, then a code", func(t *testing.T) {
			who := someone(t, w.Google, "fay", "fay@corp.example", hosted("corp.example"))
			first := byProvider(t, w, w.Google, "google", "fay")
			if again := byMail(t, w, who.Email); again == first {
				t.Error("whoever has the mailbox now has the account")
			}
		})
		t.Run("gmail first, then a code", func(t *testing.T) {
			who := someone(t, w.Google, "gus", "gus@gmail.com")
			first := natively(t, w, who)
			if again := byMail(t, w, "gus@gmail.com"); again != first {
				t.Errorf("%s, then %s", first, again)
			}
		})
		t.Run("two accounts have it", func(t *testing.T) {
			one := someone(t, w.Google, "hal", "hal@corp.example", hosted("corp.example"))
			first := byProvider(t, w, w.Google, "google", "hal")
			second := byMail(t, w, one.Email)
			other := someone(t, w.Google, "hal2", "hal@corp.example", hosted("corp.example"))
			third := byProvider(t, w, w.Google, "google", other.Username)
			if first == second || third == first {
				t.Errorf("%s, %s, %s", first, second, third)
			}
		})
	})
}

// ID13: an address is the same only if it is the same bytes, the domain in any case.
func TestID13LookAlikesJoinNobody(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		victim := byMail(t, w, "kim@gmail.com")
		for i, alike := range []string{"KIM@gmail.com", "k.im@gmail.com", "kim+x@gmail.com", "\u212Aim@gmail.com", "k\u0131m@gmail.com", "kim@gmail.com.", "kim@gma\u0456l.com", "kim@xn--gmal-nza.com"} {
			name := "kim" + string(rune('a'+i))
			someone(t, w.Google, name, alike)
			if got := byProvider(t, w, w.Google, "google", name); got == victim {
				t.Errorf("%q joined", alike)
			}
		}
		someone(t, w.Google, "kim", "kim@GMAIL.com")
		if got := byProvider(t, w, w.Google, "google", "kim"); got != victim {
			t.Error("the domain in capitals did not join")
		}
	})
}

// ID14: the address a provider now has for somebody it has had before changes nobody.
func TestID14AnAddressThatChangesAtTheProviderMovesNobody(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		victim := byMail(t, w, "liz@gmail.com")
		mallory := someone(t, w.Google, "mallory", "mallory@gmail.com")
		first := byProvider(t, w, w.Google, "google", "mallory")
		mallory.Email = "liz@gmail.com"
		someone(t, w.Google, "mallory", "liz@gmail.com")
		if again := byProvider(t, w, w.Google, "google", "mallory"); again != first || again == victim {
			t.Errorf("%s, then %s; the victim is %s", first, again, victim)
		}
		if again := natively(t, w, mallory); again != first {
			t.Errorf("%s, then %s", first, again)
		}
		if again := byMail(t, w, "liz@gmail.com"); again != victim {
			t.Errorf("the victim is %s, no longer %s", again, victim)
		}
	})
}

// The account that would be joined is disabled: nobody signs in, and there is no second one.
func TestAnAccountThatIsDisabledIsNotDoubledByAnAddress(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		someone(t, w.Google, "max", "max@gmail.com")
		who := byMail(t, w, "max@gmail.com")
		if _, err := w.Admin().DisableAccount(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		before := rows(t, w)["accounts"]
		b := w.Browser().Open(web().Path()).SignInWith(w.Google, "google", "max")
		if told(b.Want("login-form")); b.Cookie(signOn) != "" || b.At.Query().Get("notice") != "account_disabled" {
			t.Errorf("at %s", b.At)
		}
		c := w.Browser().Open(web().Path())
		code := send(t, w, c, "max@gmail.com")
		path, form := c.Form("code-submit")
		form.Set("code", code)
		if told(c.Post(path, form)); c.Cookie(signOn) != "" || !c.Has("login-form") {
			t.Errorf("by mail: at %s\n%s", c.At, c.Page)
		}
		d := w.Browser().Open(harness.NewTrip("mail-only", "https://mail.example/cb", "openid").Path())
		code = send(t, w, d, "max@gmail.com")
		if told(d.Submit("code-submit", "code", code)); d.Cookie(signOn) != "" || !d.Has("login-form") {
			t.Errorf("by mail alone: the code is still asked for: at %s\n%s", d.At, d.Page)
		}
		if after := rows(t, w)["accounts"]; after != before {
			t.Errorf("%d accounts, then %d", before, after)
		}
	}, harness.YAML("limits: {email_codes_per_hour: -1}"), harness.Clients(`
  - {id: mail-only, type: web, secret_file: ./web.secret, email: true, redirect_uris: ["https://mail.example/cb"], resources: [todo-api], scopes: [openid]}
`))
}
