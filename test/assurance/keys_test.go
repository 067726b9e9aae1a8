package assurance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/harness"
)

// keyServer publishes the keys of a client.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int32
	accept  atomic.Value

	mu     sync.Mutex
	answer http.HandlerFunc
}

func newKeyServer(t *testing.T) *keyServer {
	t.Helper()
	k := &keyServer{}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.fetches.Add(1)
		k.accept.Store(r.Header.Get("Accept"))
		k.mu.Lock()
		answer := k.answer
		k.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) says(answer http.HandlerFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answer = answer
}

func (k *keyServer) publish(t *testing.T, maxAge int, signers ...*jose.Signer) {
	t.Helper()
	set := keySet(t, signers...)
	k.says(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(maxAge))
		_, _ = w.Write([]byte(set))
	})
}

// robot is a service whose keys are at an address of its own.
type robot struct {
	*world
	*keyServer
}

func withRobot(t *testing.T, test func(*testing.T, *robot)) {
	t.Helper()
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		k := newKeyServer(t)
		w := open(t, e, harness.YAML("fetch_allow: [127.0.0.0/8]\n"), harness.Clients(`  - id: robot
    type: service
    auth_method: private_key_jwt
    jwks_uri: "`+k.URL+`/jwks"
    resources: [todo-api]
    scopes: [todos.read]
`))
		w.Clock.Freeze()
		test(t, &robot{w, k})
	})
}

func (r *robot) assert(t testing.TB, assertion string) harness.Answer {
	t.Helper()
	return r.Post("/token", url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})
}

func (r *robot) by(t testing.TB, s *jose.Signer) harness.Answer {
	t.Helper()
	return r.assert(t, signed(t, s, "JWT", r.assertion("robot")))
}

func (r *robot) wants(t testing.TB, what string, a harness.Answer, status, fetches int) {
	t.Helper()
	if a.Status != status || int(r.fetches.Load()) != fetches {
		t.Errorf("%s: %d %s after %d fetches, want %d after %d", what, a.Status, a.Body, r.fetches.Load(), status, fetches)
	}
}

// unavailable: no verdict, and when to come back.
func unavailable(t testing.TB, what string, a harness.Answer, wait time.Duration) {
	t.Helper()
	refused(t, what, a, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
	if got := a.Header.Get("Retry-After"); got != strconv.Itoa(int(wait.Seconds())) {
		t.Errorf("%s: Retry-After %q, want %v", what, got, wait)
	}
}

// rfc7523-3-06, CA06: a client changes its keys by itself, and whoever asks meanwhile waits or gets no verdict.
func TestAKeyThatAClientPublishesIsFoundAndOneItTookAwayIsForgotten(t *testing.T) {
	withRobot(t, func(t *testing.T, r *robot) {
		old, next := newSigner(t, jose.ES256, "old"), newSigner(t, jose.PS256, "next")
		r.publish(t, 3600, old)
		r.wants(t, "the first", r.by(t, old), 200, 1)
		r.wants(t, "from the cache", r.by(t, old), 200, 1)
		if got := r.accept.Load(); got != "application/jwk-set+json, application/json" {
			t.Errorf("Accept: %v", got)
		}

		r.publish(t, 3600, old, next)
		unavailable(t, "too soon", r.by(t, next), time.Minute)
		r.Clock.Step(59 * time.Second)
		unavailable(t, "still", r.by(t, next), time.Second)
		r.Clock.Step(time.Second)
		r.wants(t, "the new key", r.by(t, next), 200, 2)
		r.wants(t, "the old one", r.by(t, old), 200, 2)

		r.publish(t, 3600, next)
		r.Clock.Step(time.Hour)
		r.wants(t, "the old one, taken away for as long as was said", r.by(t, old), 401, 3)
		r.wants(t, "the new one", r.by(t, next), 200, 3)
	})
}

// CA06: random kids make us fetch once a minute, whatever else is asked meanwhile; nothing a header says is fetched.
func TestCA06AStormOfUnknownKidsMakesOneFetchAMinute(t *testing.T) {
	withRobot(t, func(t *testing.T, r *robot) {
		key := newSigner(t, jose.ES256, "one")
		trap := newKeyServer(t)
		trap.publish(t, 60, key)
		r.publish(t, 86400, key)
		r.wants(t, "before", r.by(t, key), 200, 1)
		forged := func(n int) string {
			header := fmt.Sprintf(`{"alg":"ES256","kid":"random-%d","jku":%q,"x5u":%q}`, n, trap.URL+"/jwks", trap.URL+"/x5c")
			_, rest, _ := strings.Cut(signed(t, key, "JWT", r.assertion("robot")), ".")
			return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
		}
		for minute := range 3 {
			var verdicts, open atomic.Int32
			var wg sync.WaitGroup
			for worker := range 4 {
				wg.Go(func() {
					for n := range 50 {
						switch a := r.assert(t, forged(1000*worker+n)); a.Status {
						case http.StatusUnauthorized:
							verdicts.Add(1)
						case http.StatusServiceUnavailable:
							open.Add(1)
						default:
							t.Errorf("%d %s", a.Status, a.Body)
						}
						if a := r.by(t, key); n%10 == 0 && a.Status != http.StatusOK {
							t.Errorf("the client itself: %d %s", a.Status, a.Body)
						}
					}
				})
			}
			wg.Wait()
			if got := int(r.fetches.Load()); got != minute+1 || trap.fetches.Load() != 0 {
				t.Fatalf("minute %d: %d fetches, %d where the headers say", minute, got, trap.fetches.Load())
			}
			if minute == 0 && verdicts.Load() != 0 || minute > 0 && verdicts.Load() == 0 || open.Load() == 0 {
				t.Errorf("minute %d: %d verdicts, %d without one", minute, verdicts.Load(), open.Load())
			}
			r.Clock.Step(time.Minute)
		}
	})
}

// A client is never told that its key is wrong because we cannot have it, and nothing is counted against it.
func TestWhileKeysCannotBeHadNobodyFailedToAuthenticate(t *testing.T) {
	withRobot(t, func(t *testing.T, r *robot) {
		key := newSigner(t, jose.ES256, "one")
		down := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }
		r.says(down)
		for range 30 { // more than the failures one address may have
			unavailable(t, "nothing was ever fetched", r.by(t, key), time.Minute)
		}
		if got := r.fetches.Load(); got != 1 {
			t.Errorf("%d fetches", got)
		}
		r.Clock.Step(time.Minute)
		r.publish(t, 60, key)
		r.wants(t, "it is back", r.by(t, key), 200, 2)

		r.says(down)
		for hour := range 4 {
			r.Clock.Step(6 * time.Hour)
			if a := r.by(t, key); a.Status != http.StatusOK {
				t.Errorf("down for %d hours: %d %s", 6*hour+6, a.Status, a.Body)
			}
		}
		r.Clock.Step(time.Hour)
		if a := r.by(t, key); a.Status != http.StatusServiceUnavailable {
			t.Errorf("down for more than a day: %d %s", a.Status, a.Body)
		}
	})
}

// A set that nobody should publish is none: private and symmetric keys, a redirect, something else, too much of it.
func TestWhatIsNoSetOfPublicKeysIsRefused(t *testing.T) {
	withRobot(t, func(t *testing.T, r *robot) {
		key := newSigner(t, jose.ES256, "one")
		public := strings.TrimSuffix(keySet(t, key), "]}")
		elsewhere := newKeyServer(t)
		elsewhere.publish(t, 3600, key)
		for name, answer := range map[string]http.HandlerFunc{
			"a private key beside it":   body(public + `,{"kty":"EC","crv":"P-256","kid":"p","x":"AA","y":"AA","d":"AA"}]}`),
			"a symmetric key":           body(public + `,{"kty":"oct","kid":"s","k":"AAAA"}]}`),
			"keys named twice":          body(public + `],"keys":[]}`),
			"HTML":                      body("<html>"),
			"no keys":                   body(`{"keys":[]}`),
			"more keys than anyone has": body(public + strings.Repeat(`,{"kty":"EC"}`, 32) + "]}"),
			"more bytes":                body(public + `],"x":"` + strings.Repeat("x", 64<<10) + `"}`),
			"a redirect": func(w http.ResponseWriter, q *http.Request) {
				http.Redirect(w, q, elsewhere.URL+"/jwks", http.StatusFound)
			},
			"an error with the set": func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(404)
				_, _ = w.Write([]byte(public + "]}"))
			},
		} {
			r.says(answer)
			refused(t, name, r.by(t, key), http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
			r.Clock.Step(time.Minute)
		}
		if got := elsewhere.fetches.Load(); got != 0 {
			t.Errorf("the redirect was followed %d times", got)
		}
		r.publish(t, 3600, key)
		if a := r.by(t, key); a.Status != http.StatusOK {
			t.Errorf("a sound set: %d %s", a.Status, a.Body)
		}
	})
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// Keys change under load: no honest request of either key is ever refused, and the new one is soon everywhere.
func TestARotationUnderLoadRefusesNobody(t *testing.T) {
	withRobot(t, func(t *testing.T, r *robot) {
		old, next := newSigner(t, jose.ES256, "old"), newSigner(t, jose.ES256, "next")
		r.publish(t, 60, old)
		r.wants(t, "before", r.by(t, old), 200, 1)
		r.publish(t, 60, old, next)
		r.Clock.Step(time.Minute)
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for range 25 {
					signer := old
					if n%2 == 1 {
						signer = next
					}
					if a := r.by(t, signer); a.Status != http.StatusOK {
						t.Errorf("%s: %d %s", signer.Kid(), a.Status, a.Body)
					}
				}
			})
		}
		wg.Wait()
		if got := r.fetches.Load(); got != 2 {
			t.Errorf("%d fetches", got)
		}
	})
}
