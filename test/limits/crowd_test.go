package limits_test

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// Beyond the cap on requests in flight one is told within a moment to come back, and nothing is said about its token.
func TestBeyondTheInFlightCapIs503WithRetryAfter(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		phone, spa := w.bearer(t, harness.ClientID), w.bearer(t, harness.BrowserID)
		release := w.occupy(t)
		defer release()
		began := time.Now()
		for name, a := range map[string]harness.Answer{
			"a refresh":        w.Refresh(harness.ClientID, phone.RefreshToken),
			"a web page's":     w.Refresh(harness.BrowserID, spa.RefreshToken, harness.Set("Origin", page)),
			"a service's":      w.service(harness.ServiceSecret),
			"a wrong secret's": w.service("guess"),
		} {
			if a.Status != http.StatusServiceUnavailable || a.Error() != "temporarily_unavailable" || // TK14
				a.Header.Get("Retry-After") == "" || a.Header.Get("X-Request-Id") == "" || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %d %v %s", name, a.Status, a.Header, a.Body)
			}
			if name == "a web page's" && a.Header.Get("Access-Control-Allow-Origin") != page {
				t.Errorf("%s code cannot read why: %v", name, a.Header)
			}
		}
		if took := time.Since(began); took > 2*patience {
			t.Errorf("the four waited %v", took)
		}
		release()
		if a := w.Refresh(harness.ClientID, phone.RefreshToken); a.Status != http.StatusOK {
			t.Errorf("afterwards: %d %s", a.Status, a.Body)
		}
	}, harness.YAML("limits: {in_flight: 2}"))
}

// occupy takes both places among the requests in flight, by sign-ins that wait for keys of a provider that hangs.
// release lets them go and waits for them.
func (w *world) occupy(t *testing.T) (release func()) {
	t.Helper()
	w.Clock.Step(2 * time.Minute) // the keys were fetched at the start, and are not fetched again within a minute
	stuck := make(chan struct{})
	var held sync.WaitGroup
	for _, at := range []struct {
		provider *standin.Provider
		shape    standin.TokenRequest
	}{
		{w.Google, standin.GoogleAndroid(harness.GoogleWeb, harness.GoogleAndroid, harness.Person("ada"))},
		{w.Corp, standin.OpenIDNative("mobile", harness.Person("ada"))},
	} {
		at.shape.Forgery = standin.UnknownKid
		at.shape.Nonce = w.Post("/challenge", url.Values{"client_id": {harness.ClientID}}).String("nonce")
		credential, err := at.provider.Issue(at.shape)
		if err != nil {
			t.Fatal(err)
		}
		at.provider.Behave(standin.Behaviour{Until: stuck})
		before := visits(at.provider)
		held.Go(func() {
			w.Post("/token", url.Values{ //nolint:errcheck // whatever becomes of it
				"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {harness.ClientID}, "nonce": {at.shape.Nonce},
				"subject_token": {credential.IDToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
			})
		})
		eventually(t, "the sign-in waits for the provider", func() bool { return visits(at.provider) > before })
	}
	return sync.OnceFunc(func() {
		close(stuck)
		held.Wait()
	})
}

func visits(p *standin.Provider) int {
	return p.Requests("/jwks") + p.Requests("/.well-known/openid-configuration")
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// CA10, rfc6749-2.3.1-04: twenty guesses a minute, and a guess says nothing about which clients there are.
func TestCA10GuessingSecretsIsThrottled(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		w.Clock.Freeze()
		for _, tt := range []struct {
			name    string
			attempt func(mods ...func(*http.Request)) harness.Answer
		}{
			{"a service", func(mods ...func(*http.Request)) harness.Answer { return w.service("guess", mods...) }},
			{"a client that is not there", w.guess("/token", "nobody")},
			{"a client that takes its secret elsewhere", w.guess("/token", harness.PostID)},
			{"at revocation", w.guess("/revoke", harness.WebID)},
			{"at the challenge", w.guess("/challenge", "desk")},
			{"a resource", func(mods ...func(*http.Request)) harness.Answer {
				return w.Post("/introspect", url.Values{"token": {"x"}}, append(mods, harness.Basic(harness.ResourceID, "guess"))...)
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				for i := range 20 {
					if a := tt.attempt(); a.Status != http.StatusUnauthorized || a.Error() != "invalid_client" || a.Header.Get("WWW-Authenticate") == "" {
						t.Fatalf("guess %d: %d %s", i+1, a.Status, a.Body)
					}
				}
				// PX02: pretending to come from elsewhere helps nothing
				a := tt.attempt(harness.Set("X-Forwarded-For", "203.0.113.9"), harness.Set("Forwarded", "for=203.0.113.9"), harness.Set("X-Real-IP", "203.0.113.9"))
				if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "3" {
					t.Fatalf("guess 21: %d %v %s", a.Status, a.Header, a.Body)
				}
			})
		}
		if a := w.service(harness.ServiceSecret); a.Status != http.StatusTooManyRequests {
			t.Errorf("guess 22 was right and was told so: %d", a.Status)
		}
		if a := w.Introspect("x", harness.OtherResource, harness.OtherSecret); a.Status != http.StatusOK {
			t.Errorf("another resource pays for it: %d %s", a.Status, a.Body)
		}
		if tokens := w.bearer(t, harness.ClientID); tokens.RefreshToken == "" {
			t.Error("a phone pays for it")
		}
		w.Clock.Step(3 * time.Second)
		if a := w.service(harness.ServiceSecret); a.Status != http.StatusOK {
			t.Errorf("after Retry-After: %d %s", a.Status, a.Body)
		}
	}, harness.Clients(desk))
}

// desk is a web client of its own, so that no guess at another endpoint counts against it.
const desk = `  - id: desk
    type: web
    secret_file: ./web.secret
    providers: [{name: google, audiences: [web.example]}]
    scopes: [openid]
`

func (w *world) guess(path, client string) func(...func(*http.Request)) harness.Answer {
	return func(mods ...func(*http.Request)) harness.Answer {
		return w.Post(path, url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}, append(mods, harness.Basic(client, "guess"))...)
	}
}

// CA10: who guesses does not even learn which ids are taken, neither by the words nor by the clock.
func TestCA10AnUnknownClientLooksLikeAWrongSecret(t *testing.T) {
	w := onSQLite(t, harness.YAML("limits: {auth_failures_per_minute: -1}"))
	ids := []string{harness.ServiceID, "unknown"}
	took := map[string][]time.Duration{}
	var bodies [][]byte
	for range 200 { // by turns, so that a busy machine is unfair to both
		for _, id := range ids {
			began := time.Now()
			a := w.guess("/token", id)()
			took[id] = append(took[id], time.Since(began))
			bodies = append(bodies, a.Body)
		}
	}
	for _, body := range bodies {
		if !bytes.Equal(body, bodies[0]) {
			t.Fatalf("%s\n%s", bodies[0], body)
		}
	}
	known, unknown := median(took[ids[0]]), median(took[ids[1]])
	if known > 2*unknown || unknown > 2*known {
		t.Errorf("a wrong secret takes %v, an unknown client %v", known, unknown)
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// PX02: behind a trusted proxy it is the address the proxy saw that counts, not what the client wrote before it.
func TestBehindATrustedProxyOnlyItsOwnWordCounts(t *testing.T) {
	w := onSQLite(t, harness.YAML("trusted_proxies: [127.0.0.1]"))
	w.Clock.Freeze()
	from := func(hops string) int { return w.service("guess", harness.Set("X-Forwarded-For", hops)).Status }
	for i := range 20 {
		forged := []string{"198.51.100.7", "10.0.0.1", "127.0.0.1", "nonsense"}[i%4]
		if status := from(forged + ", 203.0.113.9"); status != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i+1, status)
		}
	}
	for i := range 20 {
		if status := from("2001:db8:0:1::" + string(rune('a'+i%6))); status != http.StatusUnauthorized {
			t.Fatalf("guess %d of the IPv6 network: %d", i+1, status)
		}
	}
	for _, tt := range []struct {
		hops   string
		status int
	}{
		{"203.0.113.9", http.StatusTooManyRequests},
		{"198.51.100.8, 203.0.113.9", http.StatusTooManyRequests},
		{"203.0.113.9, 198.51.100.8", http.StatusUnauthorized}, // somebody else
		{"2001:db8:0:1:ffff::9", http.StatusTooManyRequests},   // whoever has one address of a /64 has them all
		{"2001:db8:0:2::9", http.StatusUnauthorized},
	} {
		if status := from(tt.hops); status != tt.status {
			t.Errorf("from %s: %d, want %d", tt.hops, status, tt.status)
		}
	}
	for _, kept := range []string{"203.0.113.9", "198.51.100", "2001:db8:0:1"} {
		if strings.Contains(w.Log.String(), kept+`"`) {
			t.Errorf("the log keeps more of an address than its network: %s", kept)
		}
	}
}
