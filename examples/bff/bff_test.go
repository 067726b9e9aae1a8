package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

func TestMain(m *testing.M) { browser.Main(m) }

const clientYAML = `
  - id: bff
    type: web
    secret_file: ./web.secret
    first_party: true
    redirect_uris: ["%[1]s/bff/callback"]
    post_logout_redirect_uris: ["%[1]s/"]
    backchannel_logout_uri: "%[1]s/bff/backchannel-logout"
    providers: [{name: google}]
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
`

// stage is a world with an API and the BFF before it.
type stage struct {
	*harness.World
	bff       *BFF
	url       string
	later     atomic.Int64 // how far the BFF's clock is ahead, in nanoseconds
	refreshes atomic.Int64
	told      chan struct{} // something came to the back channel
	seen      sync.Map      // every access token the API saw
}

func newStage(t *testing.T, e harness.Engine) *stage {
	t.Helper()
	s := &stage{told: make(chan struct{}, 8)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.bff.Handler().ServeHTTP(w, r)
		if r.URL.Path == "/bff/backchannel-logout" {
			s.told <- struct{}{}
		}
	}))
	t.Cleanup(front.Close)
	s.url = front.URL
	s.World = harness.New(t, e, harness.Clients(fmt.Sprintf(clientYAML, s.url)))
	var err error
	s.bff, err = New(t.Context(), Config{
		Issuer: s.Issuer, ClientID: "bff", ClientSecret: harness.WebSecret, BaseURL: s.url, API: s.api(t),
		Scopes: strings.Fields("openid profile email offline_access todos.read"), HTTP: &http.Client{Transport: s, Timeout: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.bff.now = func() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }
	return s
}

// RoundTrip counts the refreshes on their way to Countersign.
func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(body), "grant_type=refresh_token") {
			s.refreshes.Add(1)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// api is an app server as docs/resource-servers.md has it.
func (s *stage) api(t *testing.T) string {
	t.Helper()
	tokens, err := resource.New(resource.Config{Issuer: s.Issuer, Audience: harness.Audience})
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(tokens.Middleware("todos.read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen.Store(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), true)
		if r.Header.Get("Cookie") != "" || r.Header.Get("X-Bff") != "" {
			t.Error("the API sees the browser's session")
		}
		who, _ := resource.FromContext(r.Context())
		http.SetCookie(w, &http.Cookie{Name: "planted", Value: "by the API"})
		_ = json.NewEncoder(w).Encode(map[string]any{"path": r.URL.Path, "for": who.Subject, "todos": []string{"Water the plants"}})
	})))
	t.Cleanup(api.Close)
	return api.URL
}

// visitor is somebody's browser, and everything it was ever sent.
type visitor struct {
	*harness.Web
	s      *stage
	told   strings.Builder
	cookie string // of the app, as it is sent
}

func (s *stage) visitor() *visitor { return &visitor{Web: s.Browser(), s: s} }

// signsIn goes the whole way.
func (v *visitor) signsIn(t *testing.T) {
	t.Helper()
	v.Open(v.s.url + "/bff/login?to=/list")
	v.SignInWith(v.s.Google, "google", "ada")
	if v.Has("passkey-skip") {
		v.Submit("passkey-skip")
	}
	if v.Left == nil || v.Left.Path != "/bff/callback" {
		t.Fatalf("left for %v; at %s:\n%s", v.Left, v.At, v.Page)
	}
	v.Open(v.Left.String())
	if v.Left == nil || v.Left.String() != v.s.url+"/list" {
		t.Fatalf("sent to %v", v.Left)
	}
	for _, line := range v.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, sessionCookie+"=") {
			v.cookie, _, _ = strings.Cut(line, ";")
		}
	}
}

// asks is a request of the page's script.
func (v *visitor) asks(t *testing.T, method, path string, header ...string) *visitor {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, v.s.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-BFF", "1")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	v.Send(r)
	fmt.Fprintln(&v.told, v.Header, v.Page)
	return v
}

func (v *visitor) want(t *testing.T, status int, holds string) {
	t.Helper()
	if v.Status != status || !strings.Contains(v.Page, holds) {
		t.Errorf("%s: %d %s; want %d with %q", v.At, v.Status, v.Page, status, holds)
	}
}

func TestSignedInThePageCallsTheAPIAndNeverSeesAToken(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		s := newStage(t, e)
		v := s.visitor()
		v.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusUnauthorized, "signed_out")
		v.asks(t, http.MethodGet, "/api/todos").want(t, http.StatusUnauthorized, "signed_out")
		v.signsIn(t)
		v.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusOK, `"name":"Ada Example"`)
		v.asks(t, http.MethodGet, "/api/todos", "Authorization", "Bearer of-the-page").want(t, http.StatusOK, `"path":"/todos"`)
		if v.Header.Get("Set-Cookie") != "" {
			t.Error("the API sets cookies for the page's origin")
		}
		tokens := 0
		s.seen.Range(func(token, _ any) bool {
			tokens++
			if strings.Contains(v.told.String(), token.(string)) {
				t.Error("the page was sent the access token")
			}
			return true
		})
		if tokens != 1 || strings.Contains(v.told.String(), "eyJ") || strings.Contains(v.told.String(), "cs_rt_") {
			t.Errorf("%d tokens at the API; the page was sent %s", tokens, v.told.String())
		}
	})
}

func TestTheCookieIsOutOfReachOfScriptsAndOtherSites(t *testing.T) {
	s := newStage(t, harness.SQLite)
	v := s.visitor()
	v.Open(s.url + "/bff/login")
	v.SignInWith(s.Google, "google", "ada")
	v.Open(v.Left.String())
	var session string
	for _, line := range v.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, "bff_session=") {
			session = line
		}
	}
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(session, part) {
			t.Errorf("%q lacks %s", session, part)
		}
	}
	https := BFF{config: Config{BaseURL: "https://app.example"}}
	w := httptest.NewRecorder()
	https.setCookie(w, sessionCookie, "x", http.SameSiteStrictMode, time.Hour)
	if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-bff_session=x;") || !strings.Contains(got, "Secure") {
		t.Error(got)
	}
}

// Requests that want a token at the same moment share one refresh.
func TestManyRequestsAtOnceRefreshOnce(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		s := newStage(t, e)
		v := s.visitor()
		v.signsIn(t)
		s.later.Store(int64(5 * time.Minute))
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/todos", http.NoBody)
				r.Header.Set("X-BFF", "1")
				r.Header.Set("Cookie", v.cookie)
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				_ = answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Error(answer.Status)
				}
			})
		}
		all.Wait()
		if n := s.refreshes.Load(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestAnOutageSignsNobodyOut(t *testing.T) {
	s := newStage(t, harness.SQLite)
	v := s.visitor()
	v.signsIn(t)
	s.later.Store(int64(5 * time.Minute))
	mend := s.Break()
	v.asks(t, http.MethodGet, "/api/todos").want(t, http.StatusServiceUnavailable, "temporarily_unavailable")
	mend()
	v.asks(t, http.MethodGet, "/api/todos").want(t, http.StatusOK, "Water")
}

func TestOtherSitesGetNothingDone(t *testing.T) {
	s := newStage(t, harness.SQLite)
	v := s.visitor()
	v.signsIn(t)
	for _, tt := range []struct {
		name   string
		header []string
	}{
		{"a form or a link, which can set no header", []string{"X-BFF", "", "Sec-Fetch-Site", ""}},
		{"the same from the same origin", []string{"X-BFF", ""}},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}},
		{"a neighbour in the domain", []string{"Sec-Fetch-Site", "same-site"}},
		{"typed into the address bar", []string{"Sec-Fetch-Site", "none"}},
	} {
		for path, method := range map[string]string{"/bff/user": http.MethodGet, "/bff/logout": http.MethodPost, "/api/todos": http.MethodPost} {
			v.asks(t, method, path, tt.header...)
			if v.Status != http.StatusForbidden {
				t.Errorf("%s: %s %d", tt.name, path, v.Status)
			}
		}
	}
	v.asks(t, http.MethodOptions, "/api/todos", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "X-BFF", "")
	if v.Status < 400 || v.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight is answered %d %v", v.Status, v.Header)
	}
	v.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusOK, "sub")
}

// A code that somebody else obtained signs nobody in here.
func TestACodeOfAnotherBrowserSignsNobodyIn(t *testing.T) {
	s := newStage(t, harness.SQLite)
	thief, victim := s.visitor(), s.visitor()
	thief.Open(s.url + "/bff/login")
	thief.SignInWith(s.Google, "google", "mallory")
	theirs := thief.Left.String()
	for range 2 {
		victim.Open(theirs)
		if victim.Left == nil || victim.Left.Query().Get("problem") != "stale" {
			t.Errorf("sent to %v", victim.Left)
		}
		victim.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusUnauthorized, "")
		victim.Open(s.url + "/bff/login") // the second time with a trip of their own
	}
}

func TestTheWayBackLeadsNowhereElse(t *testing.T) {
	for _, to := range []string{"//evil.example", "https://evil.example", "/\\evil.example", "/\n/evil.example", "", "evil"} {
		if got := inside(to); got != "/" {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	if got := inside("/list?sort=age"); got != "/list?sort=age" {
		t.Error(got)
	}
}

func TestSigningOutEndsTheSessionHereAndThere(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		s := newStage(t, e)
		v := s.visitor()
		v.signsIn(t)
		v.asks(t, http.MethodGet, "/api/todos").want(t, http.StatusOK, "Water")
		v.asks(t, http.MethodPost, "/bff/logout").want(t, http.StatusOK, s.Issuer+"/logout?")
		s.seen.Range(func(token, _ any) bool {
			if s.Active(token.(string)) {
				t.Error("the session at Countersign goes on")
			}
			return true
		})
		var next struct{ Go string }
		if err := json.Unmarshal([]byte(v.Page), &next); err != nil {
			t.Fatal(err)
		}
		v.Open(next.Go).Want("logout-confirm").Submit("logout-confirm", "action", "confirm")
		if v.Left == nil || v.Left.String() != s.url+"/" {
			t.Errorf("sent to %v", v.Left)
		}
		v.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusUnauthorized, "signed_out")
		v.Open(s.url + "/bff/login").Want("login-form")
	})
}

func TestALogoutElsewhereEndsItHere(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		s := newStage(t, e)
		v, other := s.visitor(), s.visitor()
		v.signsIn(t)
		other.signsIn(t)
		v.Open("/logout").Submit("logout-confirm", "action", "confirm") // at Countersign, without this app
		select {
		case <-s.told:
		case <-time.After(10 * time.Second):
			t.Fatal("the app was not told")
		}
		v.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusUnauthorized, "signed_out")
		other.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusOK, "sub") // another browser of the same person
	})
}

// What is no logout token ends nothing: nothing at all, garbage, and a good JWT of the same issuer for the same client.
func TestOnlyALogoutTokenEndsASession(t *testing.T) {
	s := newStage(t, harness.SQLite)
	v := s.visitor()
	v.signsIn(t)
	mine := harness.NewTrip("bff", s.url+"/bff/callback", "openid")
	code := mine.Code(v.Open(mine.Path()))
	id := s.Post("/token", mine.Redeem(code), harness.Basic("bff", harness.WebSecret)).String("id_token")
	for _, token := range []string{"", "garbage", "a.b.c", id} {
		answer, err := http.PostForm(s.url+"/bff/backchannel-logout", url.Values{"logout_token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		<-s.told
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%.20q: %d", token, answer.StatusCode)
		}
	}
	if id == "" {
		t.Error("no ID token to try with")
	}
	v.asks(t, http.MethodGet, "/bff/user").want(t, http.StatusOK, "sub")
}

// As people see it: SameSite=Strict, the Content-Security-Policy and the page's own script, in a real browser.
func TestInARealBrowser(t *testing.T) {
	s := newStage(t, harness.SQLite)
	b := browser.New(t, browser.Desktop)
	b.Open(s.url + "/")
	b.Click("#sign-in")
	b.Click("#provider-google")
	b.Type("#username", "ada")
	b.Click("#standin-allow")
	b.Wait("#todos li")
	if got := b.Text("#name") + ": " + b.Text("#todos"); got != "Ada Example: Water the plants" {
		t.Error(got)
	}
	if got := b.Script("document.cookie"); got != "" {
		t.Errorf("script reads the cookie: %s", got)
	}
	b.Click("#sign-out")
	b.Click("#logout-confirm")
	b.Wait("#sign-in:not([hidden])")
}
