package registration

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// silent is a stranger's server that answers nobody until the test ends.
type silent struct {
	url    string
	pool   *x509.CertPool
	gaveUp atomic.Bool // whoever asked did not wait
}

func newSilent(t *testing.T, secure bool) *silent {
	t.Helper()
	end, s := make(chan struct{}), &silent{pool: x509.NewCertPool()}
	start := httptest.NewServer
	if secure {
		start = httptest.NewTLSServer
	}
	server := start(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-end:
		case <-r.Context().Done():
			s.gaveUp.Store(true)
		}
	}))
	if secure {
		s.pool.AddCert(server.Certificate())
	}
	s.url = server.URL
	t.Cleanup(func() { close(end); server.Close() })
	return s
}

const (
	crowd  = 100
	enough = 60 // of a crowd are sent away at once, whatever share of the places is a stranger's
)

// beset sends a crowd whose requests have the server wait for a silent one, and returns while those that found a place are
// waiting. Everybody else was answered by then, or it fails the test.
func (w *world) beset(t *testing.T, by *silent, request func() *http.Request) {
	t.Helper()
	answered := make(chan int, crowd)
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	for range crowd {
		all.Go(func() { answered <- w.Do(request()).Status })
	}
	for range enough {
		if status := <-answered; status != http.StatusServiceUnavailable {
			t.Errorf("somebody who found no place to wait: %d", status)
		}
	}
	if by.gaveUp.Load() {
		t.Fatalf("%d of %d were answered only when the silent server was given up on: they all held a place", enough, crowd)
	}
}

// RG08: whoever names a document on a server that falls silent takes few of the node's places, and nobody else's.
func TestASilentDocumentTakesFewPlaces(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		s := newSilent(t, true)
		w := newWorld(t, e, documentsYAML, harness.Roots(s.pool))
		path := "/authorize?" + url.Values{"client_id": {s.url + "/client"}}.Encode()
		w.beset(t, s, func() *http.Request { return w.Request("GET", path, "") })
	})
}

// RG08: so does whoever registers keys there, and signs nothing with them.
func TestSilentKeysTakeFewPlaces(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		s := newSilent(t, false)
		c := w.registered(t, webApp().with("token_endpoint_auth_method", "private_key_jwt").with("jwks_uri", s.url+"/keys")).String("client_id")
		encoded := base64.RawURLEncoding.EncodeToString
		junk := encoded([]byte(`{"alg":"ES256","kid":"x"}`)) + "." + encoded(fmt.Appendf(nil, `{"iss":%q,"sub":%q}`, c, c)) + "." + strings.Repeat("A", 86)
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_assertion": {junk},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}.Encode()
		w.beset(t, s, func() *http.Request {
			return w.Request("POST", "/token", form, harness.Set("Content-Type", "application/x-www-form-urlencoded"))
		})
	})
}

// RG08: and whoever points at a picture there.
func TestASilentPictureTakesFewPlaces(t *testing.T) {
	onEngines(t, "trusted_proxies: [127.0.0.1]\n"+openYAML, func(t *testing.T, w *world) {
		s, from := newSilent(t, false), atomic.Int64{}
		body := webApp().with("logo_uri", s.url+"/logo").String()
		w.beset(t, s, func() *http.Request {
			return w.Request("POST", "/register", body, asJSON, harness.Set("X-Forwarded-For", fmt.Sprint("192.0.2.", from.Add(1))))
		})
	})
}

// RG08: nor does a request_uri of theirs keep anybody from coming back from a provider.
func TestASilentRequestURIKeepsNobodyFromSigningIn(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		s := newSilent(t, false)
		c := w.registered(t, webApp().with("request_uris", []string{s.url + "/object"}))
		b, other := w.Browser(), w.registered(t, webApp())
		b.Open(harness.NewTrip(other.String("client_id"), redirect, "openid").Path()).Want("provider-corp")
		path := "/authorize?" + url.Values{"client_id": {c.String("client_id")}, "request_uri": {s.url + "/object"}}.Encode()
		answered := make(chan struct{}, crowd)
		var all sync.WaitGroup
		defer all.Wait()
		for range crowd {
			all.Go(func() { _ = w.Do(w.Request("GET", path, "")); answered <- struct{}{} })
		}
		for range enough {
			<-answered
		}
		if s.gaveUp.Load() {
			t.Fatal("all of them waited")
		}
		b.SignInWith(w.Corp, "corp", "ada")
		if !b.Has("consent-form") {
			t.Errorf("nobody can sign in by a provider: %d", b.Status)
		}
	})
}

// RG08: many clients of one stranger have no more places than one.
func TestManyClientsOfAStrangerKeepNobodysRequestFromBeingFetched(t *testing.T) {
	onEngines(t, "trusted_proxies: [127.0.0.1]\n"+openYAML, func(t *testing.T, w *world) {
		s := newSilent(t, false)
		object := w.site.put("/object", page{body: "x"})
		honest := w.registered(t, webApp().with("request_uris", []string{object})).String("client_id")
		ask := func(client, uri, from string) harness.Answer {
			q := url.Values{"client_id": {client}, "request_uri": {uri}, "redirect_uri": {redirect}}
			return w.Do(w.Request("GET", "/authorize?"+q.Encode(), "", harness.Set("X-Forwarded-For", from)))
		}
		const clients, each = 8, 4
		answered := make(chan struct{}, clients*each)
		var all sync.WaitGroup
		defer all.Wait()
		for range clients {
			c := w.registered(t, webApp().with("request_uris", []string{s.url + "/object"})).String("client_id")
			for range each {
				all.Go(func() { _ = ask(c, s.url+"/object", "192.0.2.1"); answered <- struct{}{} })
			}
		}
		for range clients*each - 4 {
			<-answered
		}
		if s.gaveUp.Load() {
			t.Fatal("all of them waited")
		}
		if _ = ask(honest, object, "192.0.2.2"); w.site.count("/object") != 1 {
			t.Error("nobody else's request is fetched")
		}
	})
}

// RG09, DS08: nothing is fetched for a request that had to come by way of /par, and what is fetched counts as a trip begun.
func TestARequestURIIsFetchedForWhoMayBegin(t *testing.T) {
	onEngines(t, openYAML+"limits: {trips_per_minute: 3}\n", func(t *testing.T, w *world) {
		w.Clock.Freeze()
		at := w.site.put("/object", page{body: "x"})
		ask := func(c harness.Answer) harness.Answer {
			return w.Do(w.Request("GET", "/authorize?"+url.Values{"client_id": {c.String("client_id")}, "redirect_uri": {redirect}, "request_uri": {at}}.Encode(), ""))
		}
		free := w.registered(t, webApp().with("request_uris", []string{at}))
		for range 3 {
			_ = ask(free)
		}
		if a := ask(free); a.Status != http.StatusTooManyRequests || w.site.count("/object") != 3 {
			t.Errorf("%d, fetched %d times", a.Status, w.site.count("/object"))
		}
		w.Clock.Step(time.Minute)
		pushing := w.registered(t, webApp().with("request_uris", []string{at}).with("require_pushed_authorization_requests", true))
		if a := ask(pushing); a.Status != http.StatusBadRequest || w.site.count("/object") != 3 {
			t.Errorf("one that must push: %d, fetched %d times", a.Status, w.site.count("/object"))
		}
	})
}

// RG10: what one address brings up leaves everybody else, and registration, as they were.
func TestOneAddressDoesNotUseUpWhatAllMayDo(t *testing.T) {
	described(t, "trusted_proxies: [127.0.0.1]\n"+openYAML+"  documents: true\n", func(t *testing.T, w *world) {
		w.Clock.Freeze()
		open := func(id, from string) int {
			path := "/authorize?" + url.Values{"client_id": {id}}.Encode()
			return w.Do(w.Request("GET", path, "", harness.Set("X-Forwarded-For", from))).Status
		}
		var limited int
		for i := range 640 {
			if open(fmt.Sprintf("%s/none/%d", w.site.url, i), "192.0.2.1") == http.StatusTooManyRequests {
				limited++
			}
		}
		if limited != 640-60 {
			t.Errorf("%d of 640 were limited", limited)
		}
		id := w.describe("/client", "", publicApp())
		if status := open(id, "192.0.2.1"); status != http.StatusTooManyRequests {
			t.Errorf("the address itself: %d", status)
		}
		_ = open(id, "192.0.2.2")
		if n := w.site.count("/client"); n != 1 {
			t.Errorf("somebody else's document was read %d times", n)
		}
		if a := w.post(webApp().String(), harness.Set("X-Forwarded-For", "192.0.2.2")); a.Status != http.StatusCreated {
			t.Errorf("somebody else's registration: %d %s", a.Status, a.Body)
		}
	})
}

// RG10: whatever number of addresses they have, strangers register so many clients a minute, and documents are read all the
// same.
func TestAllAddressesTogetherRegisterSoManyClients(t *testing.T) {
	described(t, "trusted_proxies: [127.0.0.1]\n"+openYAML+"  documents: true\n", func(t *testing.T, w *world) {
		w.Clock.Freeze()
		from := func(i int) func(*http.Request) {
			return harness.Set("X-Forwarded-For", fmt.Sprintf("192.0.%d.%d", 2+i/200, i%200))
		}
		for i := range 600 {
			if a := w.post(`{}`, from(i)); a.Status != http.StatusBadRequest {
				t.Fatalf("%d: %d %s", i, a.Status, a.Body)
			}
		}
		wantError(t, "one more", w.post(`{}`, from(600)), http.StatusTooManyRequests, "slow_down")
		if !w.begin(w.describe("/client", "", publicApp()), loopback) {
			t.Error("no document is read")
		}
	})
}

// DS08: a client that nobody answers for leaves no more at /par than anybody may begin.
func TestPushesOfAClientThatNobodyAnswersForAreLimited(t *testing.T) {
	onEngines(t, openYAML+"limits: {trips_per_minute: 5}\n", func(t *testing.T, w *world) {
		w.Clock.Freeze()
		initial, err := w.Admin().CreateRegistrationToken(t.Context(), "partners", 1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		push := func(c harness.Answer) (stored int) {
			for range 10 {
				if w.Post("/par", harness.NewTrip(c.String("client_id"), redirect, "openid").Query, basicOf(c)).Status == http.StatusCreated {
					stored++
				}
			}
			return stored
		}
		if n := push(w.registered(t, webApp())); n != 5 {
			t.Errorf("nobody's: %d", n)
		}
		if n := push(w.registered(t, webApp(), bearer(initial.Token))); n != 10 {
			t.Errorf("a partner's: %d", n)
		}
	})
}

// RG09: a token that somebody made up has nothing fetched, and so has one that is used up.
func TestNothingIsFetchedForATokenThatIsNotGood(t *testing.T) {
	onEngines(t, tokenYAML, func(t *testing.T, w *world) {
		initial, err := w.Admin().CreateRegistrationToken(t.Context(), "partners", 1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.registered(t, webApp(), bearer(initial.Token))
		logo := w.site.put("/logo", page{body: png})
		body := webApp().with("logo_uri", logo).with("subject_type", "pairwise").with("sector_identifier_uri", w.site.put("/sector", page{body: `["` + redirect + `"]`})).String()
		for what, token := range map[string]string{"made up": madeUp("cs_irt_" + strings.Repeat("A", 43)), "used up": initial.Token} {
			wantError(t, what, w.post(body, bearer(token)), http.StatusUnauthorized, "invalid_token")
		}
		if n := w.site.count("/logo") + w.site.count("/sector"); n != 0 {
			t.Errorf("%d documents were fetched", n)
		}
	})
}

// madeUp is a text with the checksum of ours, which anybody can write.
func madeUp(body string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	rest, sum := crc32.ChecksumIEEE([]byte(body)), make([]byte, 6)
	for i := 5; i >= 0; i-- {
		sum[i] = digits[rest%62]
		rest /= 62
	}
	return body + string(sum)
}

// RG10: what registers itself and is never used is bounded as a whole, and gone in a day.
func TestClientsThatNobodyUsesAreBounded(t *testing.T) {
	described(t, openYAML+"  documents: true\n", func(t *testing.T, w *world) {
		w.Clock.Freeze()
		now := w.Clock.Now()
		for _, by := range []string{"anybody", "document"} {
			w.Exec(fmt.Sprintf(`INSERT INTO clients (id, declared, disabled, definition, registered, registered_at, used_at, metadata)
				WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
				SELECT '%[1]s' || i, TRUE, FALSE, '{}', '%[1]s', %[2]d, %[2]d, '{}' FROM n`, by, now.UnixMicro()))
		}
		a := w.post(webApp().String())
		wantError(t, "one more", a, http.StatusServiceUnavailable, "temporarily_unavailable")
		id := w.describe("/client", "", publicApp())
		if w.begin(id, loopback) {
			t.Error("one more document is kept")
		}
		w.Clock.Step(25 * time.Hour)
		if a := w.post(webApp().String()); a.Status != http.StatusCreated {
			t.Errorf("a day later: %d %s", a.Status, a.Body)
		}
		if !w.begin(id, loopback) {
			t.Error("a day later: the document is not taken")
		}
	})
}

// What was read while documents were on is no client once they are off.
func TestDocumentsThatAreOffAreNoLongerKnown(t *testing.T) {
	onEngines(t, openYAML, func(t *testing.T, w *world) {
		const id = "https://docs.example/client"
		now := w.Clock.Now()
		w.Exec(fmt.Sprintf(`INSERT INTO clients (id, declared, disabled, definition, registered, registered_at, used_at, metadata, fetched_at, fresh_until)
			VALUES ('%[1]s', TRUE, FALSE, '{"id":"%[1]s","type":"native","auth_method":"none","redirect_uris":["http://127.0.0.1/cb"],"registered":"document"}', 'document', %[2]d, %[2]d, '{}', %[2]d, %[3]d)`,
			id, now.UnixMicro(), now.Add(time.Hour).UnixMicro()))
		if b := w.Browser().Open(harness.NewTrip(id, loopback, "openid").Path()); b.Status != http.StatusBadRequest || !strings.Contains(b.Page, "there is no client with this client_id") {
			t.Errorf("%d %.2000s", b.Status, b.Page)
		}
	})
}
