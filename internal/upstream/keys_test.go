package upstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/keyset"
)

// unknownKid is a token nobody signed: its kid is looked up before its signature is.
func unknownKid(s *scene, n int) string {
	header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":"random-%d"}`, n))
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + s.issuers[0] + `"}`))
	return header + "." + payload + ".AAAA"
}

func (s *scene) verify(t testing.TB, key string) error {
	t.Helper()
	_, err := s.Verify(t.Context(), sign(t, testKeys[key], s.claims(nil)), s.expect())
	return err
}

// ID05
func TestTenThousandRandomKidsCauseOneFetchAMinute(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	if err := s.verify(t, "rsa"); err != nil {
		t.Fatal(err)
	}
	flood := func(from, to int) (refused, unavailable int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for n := from + worker; n < to; n += 4 {
					_, err := s.Verify(t.Context(), unknownKid(s, n), s.expect())
					mu.Lock()
					switch {
					case errors.Is(err, ErrToken):
						refused++
					case errors.Is(err, ErrUnavailable):
						unavailable++
					default:
						t.Errorf("err = %v", err)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return refused, unavailable
	}
	if refused, unavailable := flood(0, 5000); refused != 0 || unavailable != 5000 || s.server.jwksHits.Load() != 1 {
		t.Errorf("within the minute of the first fetch: %d refused, %d unavailable, %d fetches", refused, unavailable, s.server.jwksHits.Load())
	}
	s.clock.advance(time.Minute)
	refused, unavailable := flood(5000, 10000)
	if hits := s.server.jwksHits.Load(); hits != 2 || refused == 0 || refused+unavailable != 5000 {
		t.Errorf("a minute later: %d refused, %d unavailable, %d fetches", refused, unavailable, hits)
	}
	if err := s.verify(t, "rsa"); err != nil {
		t.Errorf("a sound token during the flood: %v", err)
	}
}

func TestARotatedKeyIsFoundAndTheOldOneForgotten(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	if err := s.verify(t, "rsa"); err != nil {
		t.Fatal(err)
	}
	s.server.publish(testKeys["rsa2"])
	if err := s.verify(t, "rsa2"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrToken) {
		t.Errorf("throttled, a new key is no verdict: %v", err)
	}
	s.clock.advance(time.Minute)
	if err := s.verify(t, "rsa2"); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	s.clock.advance(time.Minute)
	wantRefusal(t, s.verify(t, "rsa"))
}

// Who must wait is told for how long, and it is true: not a second less helps, and not one more is needed.
func TestAThrottledKeyIsSaidWhenToComeBackFor(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	wantWait := func(want time.Duration) {
		t.Helper()
		var throttled *keyset.Throttled
		err := s.verify(t, "rsa2")
		if !errors.As(err, &throttled) || !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrToken) || throttled.Wait != want {
			t.Fatalf("err = %v, want %v to wait", err, want)
		}
	}
	s.server.set(func(i *issuer) {
		i.misbehave = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusInternalServerError) }
	})
	wantWait(retryInterval) // without any keys
	s.clock.advance(2 * time.Second)
	wantWait(retryInterval - 2*time.Second)
	s.server.set(func(i *issuer) { i.misbehave = nil })
	s.clock.advance(retryInterval - 2*time.Second)
	wantRefusal(t, s.verify(t, "rsa2"))
	wantWait(time.Minute)
	s.clock.advance(45 * time.Second)
	wantWait(15 * time.Second)
	s.clock.advance(15*time.Second - 1)
	wantWait(1)
	s.server.publish(testKeys["rsa2"])
	s.clock.advance(1)
	if err := s.verify(t, "rsa2"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	s.clock.advance(-time.Hour) // a clock set back holds nobody up for that long
	wantRefusal(t, s.verify(t, "ec"))
}

// ID21: what is no key set replaces nothing, and the keys we hold serve for 24 h.
func TestKeysServeForADayWhileTheProviderIsDown(t *testing.T) {
	for name, misbehave := range map[string]http.HandlerFunc{
		"500":          func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusInternalServerError) },
		"broken off":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"HTML":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>maintenance")) },
		"an empty set": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"only keys of no use": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
		},
		"10 MB": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 10<<20)) },
		"a redirect to metadata": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
			if err := s.verify(t, "rsa"); err != nil {
				t.Fatal(err)
			}
			s.server.set(func(i *issuer) { i.misbehave = misbehave })
			for _, age := range []time.Duration{2 * time.Hour, 24 * time.Hour} {
				s.clock.at = newClock().at.Add(age)
				if err := s.verify(t, "rsa"); err != nil {
					t.Errorf("after %v: %v", age, err)
				}
				s.land()
			}
			s.clock.advance(time.Hour)
			if err := s.verify(t, "rsa"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrToken) {
				t.Errorf("after 25 h: %v", err)
			}
			s.server.set(func(i *issuer) { i.misbehave = nil })
			s.clock.advance(time.Minute)
			if err := s.verify(t, "rsa"); err != nil {
				t.Errorf("back again: %v", err)
			}
		})
	}
}

// land waits for the fetch under way, if any.
func (s *scene) land() { s.keys.Landed() }

func TestWithoutAnyKeysNothingIsJudged(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	s.server.Close()
	for range 3 {
		if err := s.verify(t, "rsa"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrToken) {
			t.Errorf("err = %v", err)
		}
	}
}

func TestACallerThatGivesUpGetsNoVerdict(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	s.server.set(func(i *issuer) { i.misbehave = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() } })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Verify(ctx, sign(t, testKeys["rsa"], s.claims(nil)), s.expect())
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrToken) {
		t.Errorf("err = %v", err)
	}
}

func TestAHundredSignInsAtStartShareOneFetch(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	raw := sign(t, testKeys["rsa"], s.claims(nil))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := s.Verify(t.Context(), raw, s.expect()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if hits := s.server.jwksHits.Load(); hits != 1 {
		t.Errorf("%d fetches", hits)
	}
}

func TestKeysAreFetchedAheadOfTheirExpiry(t *testing.T) {
	for name, tc := range map[string]struct {
		maxAge     int // of the answer, in seconds
		early, due time.Duration
	}{
		"an hour":                {3600, 47 * time.Minute, 48 * time.Minute},
		"nothing said":           {0, 47 * time.Minute, 48 * time.Minute},
		"ten seconds, too eager": {10, 3 * time.Minute, 4 * time.Minute},
		"a year, too late":       {365 * 24 * 3600, 9 * time.Hour, 12 * time.Hour * 4 / 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
			s.server.set(func(i *issuer) { i.maxAge = tc.maxAge })
			start := s.clock.now()
			s.keys.KeepFresh(t.Context())
			s.land()
			s.clock.at = start.Add(tc.early)
			if s.keys.KeepFresh(t.Context()) {
				t.Errorf("fetched again after %v", tc.early)
			}
			s.clock.at = start.Add(tc.due)
			if !s.keys.KeepFresh(t.Context()) {
				t.Errorf("not fetched again after %v", tc.due)
			}
			s.land()
			if hits := s.server.jwksHits.Load(); hits != 2 {
				t.Errorf("%d fetches", hits)
			}
		})
	}
}

func TestADueFetchHoldsNoSignInUp(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	if err := s.verify(t, "rsa"); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	s.server.set(func(i *issuer) {
		i.misbehave = func(w http.ResponseWriter, _ *http.Request) {
			<-release
			http.Error(w, "late", http.StatusGatewayTimeout)
		}
	})
	s.clock.advance(2 * time.Hour)
	if err := s.verify(t, "rsa"); err != nil { // would wait for release for ever
		t.Error(err)
	}
	close(release)
	s.land()
}

func TestRunFetchesAtOnceAndEndsWithItsContext(t *testing.T) {
	s := newScene(t, Settings{Type: "google"}, testKeys["rsa"])
	arrived := make(chan struct{}, 1)
	s.server.set(func(i *issuer) {
		i.misbehave = func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			http.Error(w, "", http.StatusTeapot)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	<-arrived
	cancel()
	<-ended
	s.land()
}

// RFC 7517 §4.2, §4.4; OIDC Core §10.1.
func TestTheKeyMustFitTheToken(t *testing.T) {
	noKid, err := jose.NewSigner(jose.RS256, "", mustKey(t, jose.RS256))
	if err != nil {
		t.Fatal(err)
	}
	withPublic := func(k *jose.Signer, change func(*jose.PublicKey)) jose.PublicKey {
		public := k.Public()
		change(&public)
		return public
	}
	same := func(*jose.PublicKey) {}
	for name, tc := range map[string]struct {
		keys []jose.PublicKey
		sign *jose.Signer
		ok   bool
	}{
		"the set says nothing of alg and use": {[]jose.PublicKey{withPublic(testKeys["rsa"], func(k *jose.PublicKey) { k.Alg, k.Use = "", "" })}, testKeys["rsa"], true},
		"the set says another alg":            {[]jose.PublicKey{withPublic(testKeys["rsa"], func(k *jose.PublicKey) { k.Alg = "PS256" })}, testKeys["rsa"], false},
		"the kid is an EC key's":              {[]jose.PublicKey{withPublic(testKeys["ec"], func(k *jose.PublicKey) { k.Kid = "rsa" })}, testKeys["rsa"], false},
		"the kid is in another case":          {[]jose.PublicKey{withPublic(testKeys["rsa"], func(k *jose.PublicKey) { k.Kid = "RSA" })}, testKeys["rsa"], false},
		"no kid, one key that fits":           {[]jose.PublicKey{withPublic(noKid, same), withPublic(testKeys["ec"], same)}, noKid, true},
		"no kid, two keys that fit":           {[]jose.PublicKey{withPublic(noKid, same), withPublic(testKeys["rsa"], same)}, noKid, false},
		"no kid, no key that fits":            {[]jose.PublicKey{withPublic(testKeys["ec"], same)}, noKid, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Settings{Type: "google"})
			s.server.set(func(i *issuer) { i.keys = tc.keys })
			_, err := s.Verify(t.Context(), sign(t, tc.sign, s.claims(nil)), s.expect())
			if tc.ok && err != nil {
				t.Error(err)
			}
			if !tc.ok {
				wantRefusal(t, err)
			}
		})
	}
}

// OIDC Discovery §4: only the configured issuer is asked, and only believed about itself.
func TestDiscovery(t *testing.T) {
	t.Run("is asked once", func(t *testing.T) {
		s := newScene(t, Settings{Type: "oidc"}, testKeys["ec"])
		for range 3 {
			if err := s.verify(t, "ec"); err != nil {
				t.Fatal(err)
			}
			s.clock.advance(13 * time.Hour)
			s.keys.KeepFresh(t.Context())
			s.land()
		}
		if d, j := s.server.discoveryHits.Load(), s.server.jwksHits.Load(); d != 1 || j != 4 {
			t.Errorf("%d discoveries, %d fetches of keys", d, j)
		}
	})
	t.Run("is asked again when the keys are not where they were", func(t *testing.T) {
		s := newScene(t, Settings{Type: "oidc"}, testKeys["ec"])
		s.server.set(func(i *issuer) { i.discovery = `{"issuer":"` + i.URL + `","jwks_uri":"` + i.URL + `/gone"}` })
		if err := s.verify(t, "ec"); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("err = %v", err)
		}
		s.server.set(func(i *issuer) { i.discovery = "" })
		s.clock.advance(time.Minute)
		if err := s.verify(t, "ec"); err != nil {
			t.Error(err)
		}
	})
	t.Run("is not asked where jwks_uri is configured", func(t *testing.T) {
		keys := newIssuer(t, testKeys["ec"])
		s := newScene(t, Settings{Type: "oidc", Issuer: "https://login.corp.example", JWKSURI: keys.URL + "/jwks"})
		if err := s.verify(t, "ec"); err != nil {
			t.Error(err)
		}
		if keys.discoveryHits.Load() != 0 {
			t.Error("it was asked")
		}
	})
	for name, document := range map[string]string{
		"names another issuer":          `{"issuer":"https://evil.example","jwks_uri":"URL/jwks"}`,
		"names its issuer with a slash": `{"issuer":"URL/","jwks_uri":"URL/jwks"}`,
		"names no issuer":               `{"jwks_uri":"URL/jwks"}`,
		"names no keys":                 `{"issuer":"URL"}`,
		"names keys twice":              `{"issuer":"URL","jwks_uri":"URL/jwks","jwks_uri":"http://evil.example/"}`,
		"names keys over plain http":    `{"issuer":"URL","jwks_uri":"http://evil.example/jwks"}`,
		"names keys in a private net":   `{"issuer":"URL","jwks_uri":"https://169.254.169.254/jwks"}`,
		"names a file":                  `{"issuer":"URL","jwks_uri":"file:///etc/passwd"}`,
		"is no JSON":                    `<html>`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Settings{Type: "oidc"}, testKeys["ec"])
			s.server.set(func(i *issuer) { i.discovery = strings.ReplaceAll(document, "URL", i.URL) })
			if err := s.verify(t, "ec"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrToken) {
				t.Errorf("err = %v", err)
			}
			if s.server.jwksHits.Load() != 0 {
				t.Error("its keys were fetched all the same")
			}
		})
	}
}

// FuzzPick: a key is found only under the token's own kid, or without one where it is the only one.
func FuzzPick(f *testing.F) {
	keys := []jose.PublicKey{testKeys["rsa"].Public(), testKeys["rsa2"].Public(), testKeys["ec"].Public()}
	f.Add("rsa", "RS256")
	f.Add("", "ES256")
	f.Add("ec", "RS256")
	f.Fuzz(func(t *testing.T, kid, alg string) {
		key, final := pick(keys, kid, jose.Alg(alg))
		if key == nil {
			return
		}
		if !final || kid == "" && alg != "ES256" || kid != "" && kid != "rsa" && kid != "rsa2" && kid != "ec" {
			t.Fatalf("kid %q, alg %q found a key", kid, alg)
		}
	})
}

func TestWhoRunsTheServerHearsOfKeysThatCannotBeFetchedOnce(t *testing.T) {
	s := newScene(t, Settings{Type: "oidc"}, testKeys["ec"])
	told := make(chan error, 8)
	s.KeysFailed = func(err error) { told <- err }
	s.server.set(func(i *issuer) { i.discovery = `{"issuer":"` + i.URL + `","jwks_uri":"` + i.URL + `/gone"}` })
	for range 3 {
		err := s.verify(t, "ec")
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "fetch keys") {
			t.Errorf("%v", err)
		}
		s.clock.advance(retryInterval)
	}
	if err := <-told; !strings.Contains(err.Error(), "fetch keys") || len(told) != 0 {
		t.Errorf("%v, and %d more", err, len(told))
	}
}
