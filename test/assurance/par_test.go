package assurance

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/harness"
)

// rfc9126-2.1-01, rfc9126-2.2-01, rfc9126-2.2-02, rfc9126-4-01
func TestAPushedRequestBecomesACodeAndTokens(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		b, key := w.Browser(), prover(t)
		for _, when := range []string{"signing in", "signed in already"} {
			trip := harness.NewTrip("bank", redirects["bank"], "openid offline_access todos.read")
			a := w.Post("/par", w.as(t, "bank", trip.Query), w.proof(t, key, "/par"))
			uri := a.String("request_uri")
			if a.Status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || a.JSON["expires_in"] != 60.0 || len(a.JSON) != 2 {
				t.Fatalf("%s: %d %s", when, a.Status, a.Body)
			}
			w.walk(b, w.pushed("bank", a))
			got := w.Post("/token", w.as(t, "bank", trip.Redeem(trip.Code(b))), w.proof(t, key, "/token"))
			if got.Status != 200 || got.String("token_type") != "DPoP" || got.String("refresh_token") == "" {
				t.Fatalf("%s: %d %s", when, got.Status, got.Body)
			}
			if id := w.verified(t, got.String("id_token"), "JWT"); text(id, "nonce") != trip.Nonce {
				t.Errorf("%s: nonce %q", when, text(id, "nonce"))
			}
		}
	})
}

// rfc9126-4-02: the request is spent when a code is issued and not when the page is shown: a preview of the link, a reload
// and a second tab do no harm, and of any number of trips one gets a code.
func TestAPushedRequestIsSpentByACodeAndByNothingElse(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip("bank", redirects["bank"], "openid")
		path := w.push(t, "bank", trip.Query)
		w.Browser().Open(path).Want("provider-corp") // somebody else sees the link first
		b := w.Browser()
		b.Open(path).Want("provider-corp")
		b.Open(path).Want("provider-corp")
		other := w.Browser()
		other.Open(path).Want("provider-corp")
		b.SignInWith(w.Corp, "corp", "ada")
		trip.Code(b)
		other.SignInWith(w.Corp, "corp", "ada")
		if other.Left != nil || other.Status != http.StatusBadRequest || !strings.Contains(other.Page, "invalid_request_uri") {
			t.Errorf("the second trip: %d, left for %v\n%s", other.Status, other.Left, other.Page)
		}
		for name, again := range map[string]*harness.Web{"the same browser": b, "a new one": w.Browser()} {
			again.Open(path)
			if again.Left != nil || again.Status != http.StatusBadRequest || !strings.Contains(again.Page, "invalid_request_uri") || !strings.Contains(again.Page, "was used already") {
				t.Errorf("%s: %d, left for %v", name, again.Status, again.Left)
			}
		}
	})
}

// rfc9126-4-02, I2
func TestOfManyTripsAtOnceOneSpendsThePushedRequest(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		first := w.Browser()
		w.walk(first, w.push(t, "bank", harness.NewTrip("bank", redirects["bank"], "openid").Query))
		path := w.push(t, "bank", harness.NewTrip("bank", redirects["bank"], "openid").Query)
		const tabs = 12
		codes := make([]string, tabs)
		var all sync.WaitGroup
		for i := range tabs {
			tab := first.Copy()
			all.Go(func() {
				tab.Open(path)
				if tab.Left != nil {
					codes[i] = tab.Left.Query().Get("code")
				}
			})
		}
		all.Wait()
		if n := len(strings.Fields(strings.Join(codes, " "))); n != 1 {
			t.Errorf("%d codes", n)
		}
	})
}

// rfc9126-2.2-03, rfc9126-4-04, AZ32
func TestAPushedRequestLivesAMinute(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		late := w.push(t, "bank", harness.NewTrip("bank", redirects["bank"], "openid").Query)
		trip := harness.NewTrip("bank", redirects["bank"], "openid")
		slow := w.push(t, "bank", trip.Query)
		w.Clock.Step(59 * time.Second)
		b := w.Browser()
		b.Open(slow).Want("provider-corp")
		if logged := w.Log.String(); !strings.Contains(logged, `"pushed":"flw_`) || !regexp.MustCompile(`"route":"/authorize",[^\n]*"pushed":"flw_[^\n]*"flow":"flw_`).MatchString(logged) {
			t.Error("the log does not lead from what was pushed to the trip")
		}
		w.Clock.Step(time.Second)
		if other := w.Browser().Open(late); other.Left != nil || !strings.Contains(other.Page, "invalid_request_uri") {
			t.Errorf("%d, left for %v", other.Status, other.Left)
		}
		w.Clock.Step(20 * time.Minute) // whoever came in time may take theirs to sign in
		b.SignInWith(w.Corp, "corp", "ada")
		trip.Code(b)
	})
}

// AZ32, rfc9126-2.1-02, rfc9126-2.1-03, rfc9126-2.3-01
func TestAZ32WhatIsNoPush(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip("bank", redirects["bank"], "openid")
		change := func(pairs ...string) url.Values {
			return harness.NewTrip("bank", redirects["bank"], "openid", pairs...).Query
		}
		for name, c := range map[string]struct {
			form   url.Values
			status int
			code   oauth.Code
		}{
			"no authentication":          {trip.Query, 401, oauth.InvalidClient},
			"a request_uri":              {w.as(t, "bank", change("request_uri", "urn:ietf:params:oauth:request_uri:x")), 400, oauth.InvalidRequest},
			"no code_challenge":          {w.as(t, "bank", change("code_challenge", "", "code_challenge_method", "")), 400, oauth.InvalidRequest},
			"plain":                      {w.as(t, "bank", change("code_challenge_method", "plain")), 400, oauth.InvalidRequest},
			"a foreign redirect_uri":     {w.as(t, "bank", change("redirect_uri", "https://evil.example/cb")), 400, oauth.InvalidRequest},
			"no redirect_uri":            {w.as(t, "bank", change("redirect_uri", "")), 400, oauth.InvalidRequest},
			"a foreign scope":            {w.as(t, "bank", change("scope", "openid mail.read")), 400, oauth.InvalidScope},
			"a token for an answer":      {w.as(t, "bank", change("response_type", "token")), 400, oauth.UnsupportedResponseType},
			"a response_mode of nobody":  {w.as(t, "bank", change("response_mode", "fragment")), 400, oauth.InvalidRequest},
			"a resource of nobody":       {w.as(t, "bank", change("resource", "https://evil.example")), 400, oauth.InvalidTarget},
			"a state that is too long":   {w.as(t, "bank", change("state", strings.Repeat("s", 2049))), 400, oauth.InvalidRequest},
			"a thumbprint that is none":  {w.as(t, "bank", change("dpop_jkt", "short")), 400, oauth.InvalidRequest},
			"a request object of nobody": {w.as(t, "bank", change("request", "x.y.z")), 400, oauth.InvalidRequestObject},
		} {
			refused(t, name, w.Post("/par", c.form), c.status, c.code)
		}
		other := w.as(t, "bank", trip.Query)
		other.Set("client_id", "vault")
		refused(t, "another client_id", w.Post("/par", other), 401, oauth.InvalidClient)
		refused(t, "another client_id beside Basic", w.Post("/par", trip.Query, harness.Basic("pusher", harness.WebSecret)), 400, oauth.InvalidRequest)
		twice := w.as(t, "bank", trip.Query)
		twice.Add("scope", "openid")
		refused(t, "scope twice", w.Post("/par", twice), 400, oauth.InvalidRequest)
		if a := w.Do(w.Request("GET", "/par?client_id=bank", "")); a.Status != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", a.Status)
		}
	})
}

// AZ32, rfc9126-5-01, rfc9126-5-02, rfc9126-6-01
func TestAZ32AClientThatMustPushIsNotHeardOtherwise(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, client := range []string{"pusher", "bank"} {
			trip := harness.NewTrip(client, redirects[client], "openid")
			b := w.Browser().Open(trip.Path())
			if q := trip.Response(b); q.Get("error") != "invalid_request" || q.Get("code") != "" {
				t.Errorf("%s: %v", client, q)
			}
		}
		if m := w.Do(w.Request("GET", "/.well-known/oauth-authorization-server", "")); m.String("pushed_authorization_request_endpoint") != w.Issuer+"/par" {
			t.Errorf("%s", m.Body)
		}
	})
}

// rfc9126-7.4-01: what was right a moment ago is judged anew when the browser comes.
func TestADisabledClientsPushedRequestLeadsNowhere(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		path := w.push(t, "bank", harness.NewTrip("bank", redirects["bank"], "openid").Query)
		if err := w.Admin().DisableClient(t.Context(), "bank"); err != nil {
			t.Fatal(err)
		}
		if b := w.Browser().Open(path); b.Left != nil || !strings.Contains(b.Page, "unauthorized_client") {
			t.Errorf("%d, left for %v", b.Status, b.Left)
		}
		refused(t, "a push", w.Post("/par", w.as(t, "bank", harness.NewTrip("bank", redirects["bank"], "openid").Query)), 400, oauth.UnauthorizedClient)
	})
}

// AZ32, rfc9126-4-03: what stands beside the request_uri in the address changes nothing.
func TestAZ32ParametersBesideARequestURIAreIgnored(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip("bank", redirects["bank"], "openid")
		path := w.push(t, "bank", trip.Query) + "&" + url.Values{
			"scope": {"openid todos.read"}, "state": {"theirs"}, "redirect_uri": {"https://evil.example/cb"}, "prompt": {"none"},
			"response_type": {"token"}, "nonce": {"theirs"}, "code_challenge": {"x"}, "request": {"x.y.z"}, "response_mode": {"form_post"},
		}.Encode() + "&state=twice"
		b := w.Browser()
		w.walk(b, path)
		got := w.Post("/token", w.as(t, "bank", trip.Redeem(trip.Code(b))), w.proof(t, prover(t), "/token"))
		if got.String("scope") != "openid" || text(w.verified(t, got.String("id_token"), "JWT"), "nonce") != trip.Nonce {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
}

// rfc9126-2.2-04, rfc9126-7.1-01: a request_uri is its client's and nobody can guess one.
func TestARequestURIIsItsClients(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip("bank", redirects["bank"], "openid")
		path := w.push(t, "bank", trip.Query)
		for name, foreign := range map[string]string{
			"another client": strings.Replace(path, "client_id=bank", "client_id=vault", 1),
			"no client":      strings.Replace(path, "client_id=bank&", "", 1),
			"a letter less":  path[:len(path)-1],
			"twice":          path + "&request_uri=x",
		} {
			if b := w.Browser().Open(foreign); b.Left != nil || b.Status != http.StatusBadRequest {
				t.Errorf("%s: %d, left for %v", name, b.Status, b.Left)
			}
		}
		b := w.Browser()
		w.walk(b, path)
		trip.Code(b) // none of that spent it
		// A code is no request_uri, nor the other way round.
		other := harness.NewTrip("bank", redirects["bank"], "openid")
		uri := w.Post("/par", w.as(t, "bank", other.Query)).String("request_uri")
		refused(t, "a request_uri as code", w.Post("/token", w.as(t, "bank", other.Redeem(strings.TrimPrefix(uri, "urn:ietf:params:oauth:request_uri:"))),
			w.proof(t, prover(t), "/token")), 400, oauth.InvalidGrant)
	})
}

// rfc9449-10-01, rfc9449-10.1-01, fapi2-security-5.3.2.1-12, TK10, DP10
func TestACodeIsForTheKeyThatProvedItselfAtPAR(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		mine, theirs := prover(t), prover(t)
		for name, push := range map[string]func(trip *harness.Trip) string{
			"by a proof": func(trip *harness.Trip) string { return w.push(t, "bank", trip.Query, w.proof(t, mine, "/par")) },
			"by dpop_jkt": func(trip *harness.Trip) string {
				trip.Query.Set("dpop_jkt", mine.JKT())
				return w.push(t, "bank", trip.Query)
			},
			"by both": func(trip *harness.Trip) string {
				trip.Query.Set("dpop_jkt", mine.JKT())
				return w.push(t, "bank", trip.Query, w.proof(t, mine, "/par"))
			},
		} {
			trip, b := harness.NewTrip("bank", redirects["bank"], "openid"), w.Browser()
			w.walk(b, push(trip))
			code := trip.Code(b)
			refused(t, name+": another key", w.Post("/token", w.as(t, "bank", trip.Redeem(code)), w.proof(t, theirs, "/token")), 400, oauth.InvalidGrant)
			if a := w.Post("/token", w.as(t, "bank", trip.Redeem(code)), w.proof(t, mine, "/token")); a.Status != 200 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		trip := harness.NewTrip("bank", redirects["bank"], "openid", "dpop_jkt", theirs.JKT())
		refused(t, "a proof by another key than dpop_jkt", w.Post("/par", w.as(t, "bank", trip.Query), w.proof(t, mine, "/par")), 400, oauth.InvalidRequest)
		refused(t, "a proof for /token", w.Post("/par", w.as(t, "bank", trip.Query), w.proof(t, mine, "/token")), 400, oauth.InvalidDPoPProof)
		proof := w.proof(t, theirs, "/par")
		if a := w.Post("/par", w.as(t, "bank", trip.Query), proof); a.Status != http.StatusCreated || a.Header.Get("DPoP-Nonce") == "" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		refused(t, "a proof twice", w.Post("/par", w.as(t, "bank", trip.Query), proof), 400, oauth.InvalidDPoPProof)
	})
}

// rfc9126-2-01: whoever has no secret may push as well, and is bounded by the limit of trips (DS08).
func TestAPublicClientMayPush(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip(harness.ClientID, "https://todo.example/app", "openid offline_access")
		a := w.Post("/par", trip.Query)
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		b := w.Browser()
		w.walk(b, w.pushed(harness.ClientID, a))
		form := trip.Redeem(trip.Code(b))
		form.Set("client_id", harness.ClientID)
		if got := w.Post("/token", form); got.Status != 200 {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		for range 2 {
			a = w.Post("/par", trip.Query)
		}
		if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if got := w.Post("/par", w.as(t, "bank", harness.NewTrip("bank", redirects["bank"], "openid").Query)); got.Status != http.StatusCreated {
			t.Errorf("a client that authenticates has no such limit: %d %s", got.Status, got.Body)
		}
	}, harness.YAML("limits: {trips_per_minute: 3}"))
}

// What was pushed is in the database, and on every node.
func TestAPushedRequestOutlivesARestart(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		trip := harness.NewTrip("bank", redirects["bank"], "openid")
		path := w.push(t, "bank", trip.Query)
		w.Restart()
		b := w.Browser()
		w.walk(b, path)
		trip.Code(b)
	})
}
