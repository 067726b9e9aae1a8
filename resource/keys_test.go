package resource_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/resource"
)

// KL01
func TestANewKeyIsFetchedWhenItIsFirstSeen(t *testing.T) {
	a := newAPI(t, nil)
	old := a.issuer.token(nil)
	a.get(t, "Bearer "+old).want(t, http.StatusOK, "")
	a.issuer.rotate("k2-es256", jose.ES256)
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
	a.get(t, "Bearer "+old).want(t, http.StatusOK, "")
	if n := a.issuer.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// KL01
func TestADroppedKeyIsRefusedWhenTheKeysAreOld(t *testing.T) {
	a := newAPI(t, nil)
	token := a.issuer.token(func(c map[string]any) { c["exp"] = a.clock.now().Add(time.Hour).Unix() })
	a.get(t, "Bearer "+token).want(t, http.StatusOK, "")
	a.issuer.rotate("k2-es256", jose.ES256)
	a.issuer.set(func() { a.issuer.signers = a.issuer.signers[:1] })
	a.clock.advance(4*time.Minute + 59*time.Second)
	a.get(t, "Bearer "+token).want(t, http.StatusOK, "")
	a.clock.advance(time.Second)
	a.get(t, "Bearer "+token).want(t, http.StatusUnauthorized, "invalid_token")
}

func TestKeysAreKeptAsLongAsTheIssuerSays(t *testing.T) {
	for _, tt := range []struct {
		cache string
		age   time.Duration
	}{
		{"public, max-age=600", 10 * time.Minute},
		{`Max-Age="120"`, 2 * time.Minute},
		{"", 5 * time.Minute},
		{"no-store", 5 * time.Minute},
		{"max-age=0", time.Minute},
		{"max-age=-1", 5 * time.Minute},
		{"max-age=31536000", time.Hour},
		{"max-age=99999999999999999999", 5 * time.Minute},
	} {
		t.Run(tt.cache, func(t *testing.T) {
			a := newAPI(t, nil)
			a.issuer.set(func() { a.issuer.cache = tt.cache })
			ask := func() { a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "") }
			ask()
			a.clock.advance(tt.age - time.Second)
			ask()
			if n := a.issuer.fetches.Load(); n != 1 {
				t.Errorf("%d fetches before %v", n, tt.age)
			}
			a.clock.advance(time.Second)
			ask()
			if n := a.issuer.fetches.Load(); n != 2 {
				t.Errorf("%d fetches after %v", n, tt.age)
			}
		})
	}
}

// Nothing is known about a kid while the issuer may not be asked again: 503, and never a verdict.
func TestUnknownKidsCauseABoundedNumberOfFetches(t *testing.T) {
	a := newAPI(t, nil)
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
	var wg sync.WaitGroup
	for n := range 30 {
		stranger := newSigner(fmt.Sprintf("forged-%d", n), jose.ES256)
		raw := sign(stranger, "at+jwt", a.issuer.claims())
		wg.Go(func() {
			got := a.get(t, "Bearer "+raw)
			if got.status != http.StatusUnauthorized && got.status != http.StatusServiceUnavailable {
				t.Errorf("status %d", got.status)
			}
		})
	}
	wg.Wait()
	if n := a.issuer.fetches.Load(); n > 1+5 {
		t.Errorf("%d fetches in one moment", n)
	}
	forged := sign(newSigner("forged", jose.ES256), "at+jwt", a.issuer.claims())
	before := a.issuer.fetches.Load()
	for range 60 {
		a.clock.advance(time.Second)
		a.get(t, "Bearer "+forged)
	}
	if n := a.issuer.fetches.Load() - before; n < 12 || n > 12+5 {
		t.Errorf("%d fetches in a minute", n)
	}
}

// KL01: a stranger who sends invented kids just before an emergency drop delays the new key by seconds, and what it
// signed is never called invalid.
func TestInventedKidsDoNotStarveANewKey(t *testing.T) {
	a := newAPI(t, nil)
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
	invent := func() answer {
		return a.get(t, "Bearer "+sign(newSigner("forged", jose.ES256), "at+jwt", a.issuer.claims()))
	}
	for range 5 {
		invent().want(t, http.StatusUnauthorized, "invalid_token")
	}
	got := invent()
	got.want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if wait := got.header.Get("Retry-After"); wait != "5" {
		t.Errorf("Retry-After %q", wait)
	}

	old := a.issuer.token(nil)
	a.issuer.rotate("k2-es256", jose.ES256)
	a.issuer.set(func() { a.issuer.signers = a.issuer.signers[:1] })
	fresh := a.issuer.token(nil)
	a.get(t, "Bearer "+fresh).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	a.clock.advance(4 * time.Second)
	a.get(t, "Bearer "+fresh).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	a.clock.advance(time.Second)
	invent().want(t, http.StatusUnauthorized, "invalid_token") // the fetch it uses up brings the new key
	a.get(t, "Bearer "+fresh).want(t, http.StatusOK, "")
	a.get(t, "Bearer "+old).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	a.clock.advance(5 * time.Second)
	a.get(t, "Bearer "+old).want(t, http.StatusUnauthorized, "invalid_token")
}

// A fetch that began before the token came says nothing about its key.
func TestAFetchThatWasUnderWayIsNoVerdictOnANewKey(t *testing.T) {
	a := newAPI(t, nil)
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
	begun, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	stale := a.issuer.published()
	a.issuer.answering(func(w http.ResponseWriter, r *http.Request) {
		body := a.issuer.published()
		first.Do(func() {
			body = stale
			close(begun)
			<-release
		})
		_, _ = w.Write(body)
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		a.get(t, "Bearer "+sign(newSigner("forged", jose.ES256), "at+jwt", a.issuer.claims())).want(t, http.StatusUnauthorized, "invalid_token")
	})
	<-begun
	a.issuer.rotate("k2-es256", jose.ES256)
	wg.Go(func() { a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "") })
	close(release)
	wg.Wait()
}

// panics is a transport with a defect.
type panics struct{}

func (panics) RoundTrip(*http.Request) (*http.Response, error) { panic("a defect in the transport") }

func TestAPanicWhileKeysAreFetchedIsNoEndOfTheProcess(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.HTTPClient = &http.Client{Transport: panics{}} })
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// RS04, rfc8725-3.10-01
func TestKidsThatAreNoNamesCauseNoFetch(t *testing.T) {
	a := newAPI(t, nil)
	for _, kid := range []string{"../../x", "https://evil.example/jwks", "' OR 1=1 --", strings.Repeat("k", 4096), "a..b", "k\x00", "kéy", ""} {
		t.Run(kid[:min(len(kid), 20)], func(t *testing.T) {
			raw := sign(newSigner(kid, jose.ES256), "at+jwt", a.issuer.claims())
			a.get(t, "Bearer "+raw).want(t, http.StatusUnauthorized, "invalid_token")
		})
	}
	if n := a.issuer.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

func TestTheAPIOutlivesItsIssuerForADay(t *testing.T) {
	a := newAPI(t, nil)
	token := func() string { return a.issuer.token(nil) }
	a.get(t, "Bearer "+token()).want(t, http.StatusOK, "")
	a.issuer.answering(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	a.clock.advance(6 * time.Minute)
	a.get(t, "Bearer "+token()).want(t, http.StatusOK, "")
	for range 5 {
		a.get(t, "Bearer "+token()).want(t, http.StatusOK, "")
	}
	if n := a.issuer.fetches.Load(); n != 2 {
		t.Errorf("%d fetches: a broken issuer is asked every ten seconds", n)
	}
	unknown := sign(newSigner("new-es256", jose.ES256), "at+jwt", a.issuer.claims())
	got := a.get(t, "Bearer "+unknown)
	got.want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if got.header.Get("Retry-After") == "" || got.challenge != "" {
		t.Errorf("headers %v", got.header)
	}

	a.clock.advance(24*time.Hour - 6*time.Minute)
	a.get(t, "Bearer "+token()).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	a.issuer.answering(nil)
	a.clock.advance(time.Second)
	a.get(t, "Bearer "+token()).want(t, http.StatusOK, "")
}

func TestAnIssuerThatHangsStopsNobodyForLong(t *testing.T) {
	a := newAPI(t, nil)
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
	release := make(chan struct{})
	defer close(release)
	a.issuer.answering(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	a.clock.advance(6 * time.Minute)
	began := time.Now()
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusOK, "")
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it waited %v for an issuer that hangs", took)
	}
}

func TestBadKeySetsAreNoKeys(t *testing.T) {
	for name, body := range map[string]string{
		"HTML":              "<html>",
		"an empty set":      `{"keys":[]}`,
		"a symmetric key":   `{"keys":[{"kty":"oct","k":"AAAA","kid":"k1-es256"}]}`,
		"an enormous one":   `{"keys":[],"x":"` + strings.Repeat("x", 600<<10) + `"}`,
		"a set given twice": `{"keys":[]}{"keys":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, nil)
			a.issuer.answering(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
			a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		})
	}
}

func TestNoRedirectLeadsToKeys(t *testing.T) {
	a := newAPI(t, nil)
	evil := newIssuer(t, a.clock)
	a.issuer.answering(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil.URL+"/jwks", http.StatusFound) })
	a.get(t, "Bearer "+sign(evil.signer(), "at+jwt", a.issuer.claims())).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	if evil.fetches.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestAnAPIStartsBeforeItsIssuer(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.JWKSURL = closedAddress(t) + "/jwks" })
	a.get(t, "Bearer "+a.issuer.token(nil)).want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}
