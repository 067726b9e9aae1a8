package trip

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

const privateUse = "com.example.todo:/cb"

const ownApp = `  - {id: own.app, type: native, first_party: true, providers: [{name: google, audiences: [web.example]}], redirect_uris: ["own.app:/cb", "https://own.example/app"], resources: [todo-api], scopes: [openid]}
`

// AZ12 rfc8252-8.6-01: an answer to a scheme that any app may have claimed is never given without a person's doing.
func TestAZ12NothingGoesSilentlyToASchemeAnyAppCouldHave(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e, harness.Clients(ownApp))
		b, _ := coded(w, own())
		firstParty := func(more ...string) *harness.Trip {
			return harness.NewTrip("own.app", "own.app:/cb", "openid", more...)
		}
		for range 2 { // before they agreed, and after
			for _, silent := range []*harness.Trip{app(privateUse, "prompt", "none"), firstParty("prompt", "none")} {
				goesBack(t, silent, b.Open(silent.Path()), "consent_required")
			}
			asked, ours := app(privateUse), firstParty()
			asked.Code(through(b.Open(asked.Path()).Want("login-continue")))
			ours.Code(through(b.Open(ours.Path()).Want("login-continue")))
		}
		claimed := harness.NewTrip("own.app", "https://own.example/app", "openid", "prompt", "none")
		claimed.Code(b.Open(claimed.Path())) // an address nobody else can claim
	})
}

// AZ14: what was asked for is kept as it was first asked. Neither the page's address nor the link that begins anew turns a
// trip into another one.
func TestAZ14TheStoredRequestCannotBeFlipped(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := own("prompt", "login", "response_mode", "query")
		b := w.Browser().Open(trip.Path())
		b.Open("/login?flow=" + flowOf(b) + "&response_type=token&response_mode=form_post&prompt=none&client_id=" + harness.WebID +
			"&redirect_uri=https://todo.example/cb&state=other&scope=openid")
		b.SignInWith(w.Corp, "corp", "alice")
		trip.Code(b)

		b.Open(b.At.String()) // the callback once more: the trip is over, and may begin anew
		_, link, _ := strings.Cut(b.Page, `id="error-restart"`)
		if !strings.Contains(link, "response_type=code") || !strings.Contains(link, "prompt=login") {
			t.Fatalf("%d %s", b.Status, b.Page)
		}
		flipped, _ := url.ParseQuery(trip.Query.Encode())
		flipped.Set("response_type", "id_token token")
		goesBack(t, trip, b.Open("/authorize?"+flipped.Encode()), "unsupported_response_type")
	})
}

// AZ16 AZ33 rfc6749-10.14-01: what comes with a request is text on the page that carries the answer, in success and error.
func TestAZ16AFormPostHoldsWhatCameAsText(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	const evil = `"><script>alert(1)</script>'&amp;` + "\r\nSet-Cookie: a=b"
	check := func(trip *harness.Trip, b *harness.Web, wantError string) url.Values {
		t.Helper()
		policy := b.Header.Get("Content-Security-Policy")
		if strings.Contains(b.Page, "<script>alert") || strings.Contains(policy, "script-src 'unsafe") || strings.Contains(policy, "script-src *") {
			t.Errorf("%s\n%s", policy, b.Page)
		}
		return posted(t, w, trip, b, wantError)
	}
	bad := own("response_mode", "form_post", "state", evil, "prompt", "none", "error_description", evil)
	b := w.Browser()
	if q := check(bad, b.Open(bad.Path()), "login_required"); strings.Contains(q.Get("error_description"), "script") {
		t.Errorf("%v", q)
	}
	good := own("response_mode", "form_post", "state", evil)
	b.Open(good.Path()).SignInWith(w.Google, "google", "alice")
	_ = tokens(t, w, good, check(good, b, "").Get("code"))
}

// AZ17 AZ18 rfc7636-4.4-01 rfc9700-2.1.1-01: a confidential client that is registered without PKCE may do without, and is
// held to it when it sends a challenge.
func TestAZ17PKCEThatIsOptionalIsStillVerified(t *testing.T) {
	w := harness.New(t, harness.SQLite, harness.Clients(
		`  - {id: old-web, type: web, secret_file: ./web.secret, first_party: true, pkce: optional, providers: [{name: google}], redirect_uris: ["https://old.example/cb"], resources: [todo-api], scopes: [openid]}`+"\n"))
	old := func(more ...string) *harness.Trip {
		return harness.NewTrip("old-web", "https://old.example/cb", "openid", more...)
	}
	without := old("code_challenge", "", "code_challenge_method", "")
	_, code := coded(w, without)
	refused(t, redeem(w, without, code), "invalid_grant") // a verifier nobody asked for: rfc9700-2.1.1-03
	_, code = coded(w, without)
	if a := redeem(w, without, code, "code_verifier", ""); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	plain := old("code_challenge_method", "plain")
	goesBack(t, plain, w.Browser().Open(plain.Path()), "invalid_request")
	with := old()
	_, code = coded(w, with)
	refused(t, redeem(w, with, code, "code_verifier", ""), "invalid_grant")
}

// AZ20 rfc6749-4.1.2-03: the client gets back what it sent, whatever it is, and the ID token holds its nonce.
func TestAZ20StateAndNonceComeBackUnchanged(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b, _ := coded(w, own())
		for _, text := range []string{
			strings.Repeat("s", 1000), strings.Repeat("n", 64), strings.Repeat("ü", 1024), "a\r\nSet-Cookie: b=c\r\n\r\n<p>", "%00 +&=#?;",
		} {
			trip := own("state", text, "nonce", text)
			code := trip.Code(b.Open(trip.Path()))
			claims, err := standin.Claims(tokens(t, w, trip, code).String("id_token"))
			if err != nil || claims["nonce"] != text {
				t.Errorf("%v, %v", claims["nonce"], err)
			}
			if strings.ContainsAny(b.Header.Get("Location"), "\r\n <") || b.Header.Get("Set-Cookie") != "" {
				t.Errorf("%q", b.Header)
			}
		}
	})
}

// AZ22 rfc6749-3.1-01: with prompt=none nobody is asked, and the client hears what would have been asked.
func TestAZ22WithoutAPromptTheClientHearsWhatIsMissing(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b := w.Browser()
		silent := web("prompt", "none")
		goesBack(t, silent, b.Open(silent.Path()), "login_required")
		first := own()
		first.Code(b.Open(first.Path()).SignInWith(w.Google, "google", "alice"))
		goesBack(t, silent, b.Open(silent.Path()), "consent_required")
		strong := own("prompt", "none", "acr_values", domain.ACRPhish)
		goesBack(t, strong, b.Open(strong.Path()), "interaction_required")
		stale := own("prompt", "none", "max_age", "60")
		goesBack(t, stale, b.Open(stale.Path()), "login_required") // Google does not say when

		agreed := web()
		agreed.Code(through(b.Open(agreed.Path()).Want("consent-form")))
		silent.Code(b.Open(silent.Path()))
		wider := web("prompt", "none", "scope", "openid profile todos.read")
		goesBack(t, wider, b.Open(wider.Path()), "consent_required")
		again := web("prompt", "consent")
		b.Open(again.Path()).Want("consent-form")
	})
}

// AZ24: who has to sign in anew does, and the ID token says when.
func TestAZ24AFreshSignInIsANewAuthTime(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		b := w.Browser()
		authTime := func(trip *harness.Trip) float64 {
			t.Helper()
			claims, err := standin.Claims(tokens(t, w, trip, trip.Code(b)).String("id_token"))
			if err != nil {
				t.Fatal(err)
			}
			at, _ := claims["auth_time"].(float64)
			return at
		}
		trip := own()
		b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice")
		last := authTime(trip)
		for _, more := range [][]string{{"prompt", "login"}, {"max_age", "1"}, {"max_age", "0"}, {"prompt", "login", "max_age", "10000"}} {
			w.Clock.Step(5 * time.Minute)
			trip := own(more...)
			b.Open(trip.Path()).Want("login-form")
			b.Open("/login?flow=" + flowOf(b)) // and as if nothing had been said
			if b.Left != nil || b.Has("login-continue") {
				t.Fatalf("%v: left for %v\n%s", more, b.Left, b.Page)
			}
			back := b.Post("/login", url.Values{"flow": {flowOf(b)}, "action": {"continue"}}) // nobody said that they might
			if back.Left != nil {
				t.Fatalf("%v: went on to %s", more, back.Left)
			}
			b.SignInWith(w.Corp, "corp", "alice")
			now := authTime(trip)
			if now < last+290 {
				t.Errorf("%v: %f after %f", more, now, last)
			}
			last = now
		}
		recent := own("max_age", "300")
		b.Open(recent.Path())
		if now := authTime(recent); now != last {
			t.Errorf("%f, not %f", now, last)
		}
	})
}

// AZ24: a provider that signs the person in without asking proves nothing, and that is said.
func TestAZ24AProviderThatAsksNobodyProvesNothing(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	w.Corp.Misbehave(standin.Mischief{Claims: func(claims map[string]any) { claims["auth_time"] = w.Clock.Now().Add(-time.Hour).Unix() }})
	trip := own("prompt", "login")
	b := w.Browser().Open(trip.Path()).SignInWith(w.Corp, "corp", "alice")
	if b.Left != nil {
		t.Fatalf("went on to %s", b.Left)
	}
	b.Want("login-form").Want("provider-corp")
	w.Corp.Misbehave(standin.Mischief{Claims: func(claims map[string]any) { delete(claims, "auth_time") }})
	if b.SignInWith(w.Corp, "corp", "alice").Left != nil {
		t.Fatalf("went on to %s", b.Left)
	}
	w.Corp.Misbehave(standin.Mischief{})
	trip.Code(b.SignInWith(w.Corp, "corp", "alice"))
}

// AZ25: who was asked for a passkey and comes back with less gets no code, and the client hears why. Whoever has none yet
// may make one on the way; who would rather not has come back with less.
func TestAZ25AWeakerWayThanAskedForIsNoSignIn(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web("acr_values", domain.ACRPhish)
		b := w.Browser().Open(trip.Path()).SignInWith(w.Google, "google", "alice")
		goesBack(t, trip, b.Want("passkey-skip").Submit("passkey-skip", "action", "skip"), "unmet_authentication_requirements")
		// Where the client has no passkeys, nothing weaker is even begun.
		none := own("acr_values", domain.ACRPhish)
		goesBack(t, none, w.Browser().Open(none.Path()), "unmet_authentication_requirements")
	})
}

// AZ26: a hint says who it must be, and proves nothing.
func TestAZ26AHintNamesWhoMustComeBack(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		alice, bob := w.Browser(), w.Browser()
		idToken := func(b *harness.Web, name string) string {
			trip := own()
			b.Open(trip.Path()).SignInWith(w.Corp, "corp", name)
			return tokens(t, w, trip, trip.Code(b)).String("id_token")
		}
		hers, his := idToken(alice, "alice"), idToken(bob, "bob")
		w.Clock.Step(time.Hour) // expired, and a hint all the same

		same := own("prompt", "none", "id_token_hint", hers)
		same.Code(alice.Open(same.Path()))
		other := own("prompt", "none", "id_token_hint", his)
		goesBack(t, other, alice.Open(other.Path()), "login_required")
		forged := own("id_token_hint", hers[:len(hers)-8]+"AAAAAAAA")
		goesBack(t, forged, alice.Open(forged.Path()), "invalid_request")
		elsewhere, err := w.Corp.Issue(standin.OpenIDNative(harness.OwnID, harness.Person("alice")))
		if err != nil {
			t.Fatal(err)
		}
		foreign := own("id_token_hint", elsewhere.IDToken)
		goesBack(t, foreign, alice.Open(foreign.Path()), "invalid_request")

		asked := own("id_token_hint", his)
		alice.Open(asked.Path()).Want("login-form").SignInWith(w.Corp, "corp", "alice")
		if alice.Left != nil {
			t.Fatalf("alice for bob: %s", alice.Left)
		}
		started := flowOf(alice)
		w.Clock.Step(31 * time.Minute) // asked for anew, it is still bob who must come
		alice.Open("/login?flow=" + started)
		alice.Open(restart(alice)).Want("login-form").SignInWith(w.Corp, "corp", "alice")
		if alice.Left != nil {
			t.Fatalf("alice for bob, at the second try: %s", alice.Left)
		}
		asked.Code(alice.SignInWith(w.Corp, "corp", "bob"))
	})
}

// rfc9700-4.12-01: no form is sent on to where it was not meant for. The browser of the harness refuses all but 303.
func TestEveryStepRedirectsWith303(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	trip := web()
	through(w.Browser().Open(trip.Path()).SignInWith(w.Apple, "apple", "alice"))
	r := w.Request(http.MethodPost, "/authorize", trip.Query.Encode(), harness.Set("Content-Type", "application/x-www-form-urlencoded"))
	w.Browser().Send(r).Want("login-form")
}

// AZ34 rfc6749-10.13-01 rfc9700-4.16-01: no page of a trip can be framed.
func TestAZ34NoPageOfATripCanBeFramed(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	b := w.Browser()
	for _, path := range []string{"/authorize", "/login", "/login?flow=x", "/device", "/logout", "/logout/done", "/federation/google/callback"} {
		guarded(t, b.Open(path))
	}
	trip := web()
	guarded(t, b.Open(trip.Path()).Want("login-form"))
	guarded(t, b.SignInWith(w.Google, "google", "alice").Want("consent-form"))
	guarded(t, b.Submit("consent-allow", "action", "allow").Want("passkey-skip"))
	trip.Code(b.Submit("passkey-skip", "action", "skip"))
	for _, path := range []string{"/authorize", "/login", "/consent", "/device", "/logout"} {
		guarded(t, b.Send(w.Request(http.MethodPut, path, "")))
	}
	mail := w.Browser().Open(web().Path()).Submit("login-submit", "action", "email", "email", "bob@example.com")
	guarded(t, mail.Want("code"))
	own := app(privateUse)
	guarded(t, b.Open(own.Path()).Want("login-continue"))
}

// flowRow reads a trip as it is stored.
func flowRow(t *testing.T, w *harness.World, id string) domain.Flow {
	t.Helper()
	var key domain.FlowID
	if err := key.UnmarshalText([]byte(id)); err != nil {
		t.Fatal(err)
	}
	f, err := w.Store().Flow(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return *f
}

// AZ37 rfc6749-10.12-01: consent is what the person of this trip gave on the page that was shown.
func TestAZ37ConsentIsForWhatWasShown(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		b := w.Browser().Open(trip.Path()).SignInWith(w.Google, "google", "alice").Want("consent-form")
		mallory := w.Browser().Open(web().Path()).SignInWith(w.Google, "google", "mallory").Want("consent-form")
		id := flowOf(b)
		before := flowRow(t, w, id)
		agree := func(more ...string) url.Values {
			_, form := b.Form("consent-allow")
			form.Set("action", "allow")
			for i := 0; i+1 < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			return form
		}
		page := *b
		forbidden := func(name string, sent *harness.Web) {
			t.Helper()
			if sent.Status != http.StatusForbidden || sent.Left != nil || !sent.Has("error-page") {
				t.Errorf("%s: %d, left for %v", name, sent.Status, sent.Left)
			}
			guarded(t, sent)
			if now := flowRow(t, w, id); now.Version != before.Version || now.State != before.State {
				t.Errorf("%s: the trip is %v now", name, now.State)
			}
			*b = page
		}
		forbidden("more than was shown", b.Post("/consent", agree("scope", "profile")))
		forbidden("what nobody has", b.Post("/consent", agree("scope", "everything")))
		forbidden("another client", b.Post("/consent", agree("client_id", harness.OwnID)))
		forbidden("another person's trip", mallory.Post("/consent", agree()))
		forbidden("no cookie", w.Browser().Post("/consent", agree()))
		forbidden("another one's refusal", w.Browser().Post("/consent", agree("action", "deny")))
		for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := w.Request(http.MethodPost, "/consent", agree().Encode(),
				harness.Set("Content-Type", "application/x-www-form-urlencoded"), harness.Set(header, value))
			forbidden("from another site", b.Send(r))
		}
		form := agree()
		b.Submit("consent-allow", "action", "allow").Submit("passkey-skip", "action", "skip")
		code := trip.Code(b)
		again := b.Post("/consent", form) // replayed: the trip is over, and that is said
		if again.Status != 400 || again.Left != nil || !again.Has("error-restart") {
			t.Errorf("replayed: %d, left for %v", again.Status, again.Left)
		}
		if a := redeem(w, trip, code); a.Status != 200 { // and it harmed nobody
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// Less than was asked for can be agreed to, and that is what the tokens are good for.
func TestAPersonMayAgreeToLess(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	trip := harness.NewTrip(harness.WebID, webRedirect, "openid email todos.read")
	b := w.Browser().Open(trip.Path()).SignInWith(w.Google, "google", "alice")
	b.Want("consent-form").Submit("consent-allow", "action", "allow", "scope", "todos.read")
	b.Submit("passkey-skip", "action", "skip")
	if got := tokens(t, w, trip, trip.Code(b)).String("scope"); got != "openid todos.read" {
		t.Errorf("scope %q", got)
	}
	silent := harness.NewTrip(harness.WebID, webRedirect, "openid email todos.read", "prompt", "none")
	goesBack(t, silent, b.Open(silent.Path()), "consent_required")
}

// AZ37: whoever ticks nothing agrees to nothing, also by way of the page that comes between.
func TestAgreeingToNothingIsADenial(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := harness.NewTrip(harness.WebID, webRedirect, "todos.read")
		b := w.Browser().Open(trip.Path()).SignInWith(w.Google, "google", "alice").Want("consent-form")
		_, form := b.Form("consent-allow")
		form.Del("scope")
		form.Set("action", "allow")
		b.Post("/consent", form)
		if b.Has("passkey-skip") {
			b.Submit("passkey-skip", "action", "skip")
		}
		goesBack(t, trip, b, "access_denied")
		b.Open(trip.Path()).Want("consent-form") // and nothing is remembered
	})
}

// AZ38: a trip is its browser's. Whoever is handed its address, or the provider's answer to it, gets nothing and changes
// nothing.
func TestAZ38ATripIsTheBrowsersThatBeganIt(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		trip := web()
		attacker := w.Browser().Open(trip.Path())
		id := flowOf(attacker)
		attacker.Submit("provider-google")
		to := attacker.Left.String()
		began := flowRow(t, w, id)

		for name, victim := range map[string]*harness.Web{"new": w.Browser(), "with a trip of its own": w.Browser().Open(web().Path())} {
			unchanged := func(what string) {
				t.Helper()
				staysHere(t, victim)
				if now := flowRow(t, w, id); now.Version != began.Version || now.State != began.State {
					t.Errorf("%s, %s: the trip is %v now", name, what, now.State)
				}
			}
			victim.Open("/login?flow=" + id)
			unchanged("shown")
			for path, form := range map[string]url.Values{
				"/login":                   {"action": {"continue"}},
				"/login/code":              {"code": {"123456"}},
				"/login/passkey":           {"credential": {"{}"}},
				"/login/add-passkey":       {"action": {"skip"}},
				"/federation/google/start": {},
			} {
				form.Set("flow", id)
				victim.Post(path, form)
				unchanged(path)
			}
			victim.Post("/login", url.Values{"flow": {id}, "action": {"cancel"}})
			unchanged("cancelled")
			back, err := w.Google.SignInAt(t.Context(), nil, to, "victim")
			if err != nil {
				t.Fatal(err)
			}
			victim.Send(back)
			unchanged("the provider's answer")
		}
	})
}

// AZ38: an answer that was posted (Apple) is put by without a cookie, and taken up only where the cookie is.
func TestAZ38APostedAnswerIsTakenUpByTheBrowserThatAsked(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	trip := web()
	b := w.Browser().Open(trip.Path()).Submit("provider-apple")
	back, err := w.Apple.SignInAt(t.Context(), nil, b.Left.String(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	staysHere(t, w.Browser().Send(back)) // in another browser
	if back, err = w.Apple.SignInAt(t.Context(), nil, b.Left.String(), "mallory"); err != nil {
		t.Fatal(err)
	}
	// The first answer stands: what is posted later replaces nothing.
	trip.Code(through(b.Send(back)))
	a, err := w.Admin().AccountByIdentity(t.Context(), w.Apple.Issuer(), w.Apple.PersonNamed("mallory").Subject)
	if err == nil {
		t.Errorf("mallory is %s", a.ID)
	}
}
