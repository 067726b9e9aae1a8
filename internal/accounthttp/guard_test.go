package accounthttp_test

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/test/house"
)

// Every route, from the table, so that a new one cannot escape.
func TestEveryRouteWantsTheRightToken(t *testing.T) {
	h := house.OnSQLite(t)
	w := open(t, h)
	ada, bob := w.enter(t, h.Google, house.GoogleToken("ada")), w.enter(t, h.Google, house.GoogleToken("bob"))
	good := ada.mint(t, ada.access())
	with := func(change func(*token.Access)) string {
		a := ada.access()
		change(&a)
		return ada.mint(t, a)
	}
	idToken, err := h.Tokens.MintID(h.DB.Now(), token.ID{Client: h.Client(house.Todo), AccountID: ada.in.Session.AccountID})
	if err != nil {
		t.Fatal(err)
	}
	scheme := func(s, access string) func(t *testing.T, r *http.Request, path string) {
		return func(t *testing.T, r *http.Request, path string) {
			r.Header.Set("Authorization", s+" "+access)
			r.Header.Set("DPoP", ada.proof(t, r.Method, path, access))
		}
	}
	cases := []struct {
		name   string
		with   func(t *testing.T, r *http.Request, path string)
		status int
		code   string
	}{
		{"nothing", func(*testing.T, *http.Request, string) {}, 401, ""},
		{"another scheme", scheme("Basic", good), 401, ""},
		{"an audience that is an app server's", scheme("DPoP", with(func(a *token.Access) { a.Audience = "https://api.example.com" })), 401, "invalid_token"},
		{"RS01 an id_token", scheme("DPoP", idToken), 401, "invalid_token"},
		{"RT18 a refresh token", scheme("DPoP", string(ada.in.Refresh)), 401, "invalid_token"},
		{"DP09 a bound token as bearer", scheme("Bearer", good), 401, "invalid_token"},
		{"DP09 an unbound token with the DPoP scheme", scheme("DPoP", with(func(a *token.Access) { a.JKT = "" })), 401, "invalid_token"},
		{"a scope of something else", scheme("DPoP", with(func(a *token.Access) { a.Scope = []string{"openid", "todos.read"} })), 403, "insufficient_scope"},
		{"no proof", func(_ *testing.T, r *http.Request, _ string) { r.Header.Set("Authorization", "DPoP "+good) }, 401, "invalid_dpop_proof"},
		{"a proof without ath", func(t *testing.T, r *http.Request, path string) {
			r.Header.Set("Authorization", "DPoP "+good)
			r.Header.Set("DPoP", ada.proof(t, r.Method, path, ""))
		}, 401, "invalid_dpop_proof"},
		{"a proof for another path", func(t *testing.T, r *http.Request, _ string) {
			r.Header.Set("Authorization", "DPoP "+good)
			r.Header.Set("DPoP", ada.proof(t, r.Method, "/token", good))
		}, 401, "invalid_dpop_proof"},
		{"a proof by another key", func(t *testing.T, r *http.Request, path string) {
			r.Header.Set("Authorization", "DPoP "+good)
			r.Header.Set("DPoP", bob.proof(t, r.Method, path, good))
		}, 401, "invalid_token"},
		{"DP08 a proof without a nonce and a wrong clock", func(t *testing.T, r *http.Request, path string) {
			proof, err := ada.key.Proof(r.Method, house.Issuer+path, "", good, h.DB.Now().Add(-time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "DPoP "+good)
			r.Header.Set("DPoP", proof)
		}, 401, "use_dpop_nonce"},
		{"RS09 the token in the query", func(t *testing.T, r *http.Request, path string) {
			scheme("DPoP", good)(t, r, path)
			r.URL.RawQuery = "access_token=" + good
		}, 400, ""},
	}
	for _, route := range w.door.Routes() {
		path := strings.NewReplacer("/sessions/{id}", "/sessions/"+ada.in.Session.ID.String(),
			"/identities/{id}", "/identities/"+ada.in.Session.IdentityID.String()).Replace(route.Path)
		for _, tt := range cases {
			t.Run(route.Method+" "+route.Path+" with "+tt.name, func(t *testing.T) {
				r := w.request(t, route.Method, path, nil)
				tt.with(t, r, path)
				a := w.send(t, r)
				if tt.status == http.StatusBadRequest {
					a.want(t, tt.status)
					return
				}
				a.wantChallenge(t, tt.status, tt.code)
				if least := map[string]string{http.MethodGet: "account.read"}[route.Method]; tt.status == http.StatusForbidden {
					wantScope(t, a, cmp.Or(least, "account.manage"))
				}
			})
		}
	}
	ada.call(t, "GET", "/account/v1", good, nil).want(t, 200)
}

// wantScope: the least that is enough is named, to the program (RFC 6750 §3) and to its developer.
func wantScope(t *testing.T, a answer, scope string) {
	t.Helper()
	challenge := strings.Join(a.header.Values("WWW-Authenticate"), "|")
	if !strings.Contains(challenge, `scope="`+scope+`"`) || !strings.Contains(challenge, "needs the scope "+scope+",") {
		t.Errorf("it does not ask for %s: %s", scope, challenge)
	}
}

// What revokes is the database, not the token (SE14, I6).
func TestTokenOfWhatIsOver(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		w := open(t, h)
		ada := w.enter(t, h.Google, house.GoogleToken("ada"))
		access := ada.mint(t, ada.access())
		get := func() answer { return ada.call(t, "GET", "/account/v1", access, nil) }
		get().want(t, 200)
		state := func(s domain.AccountState) {
			if _, err := h.DB.SetAccountState(t.Context(), ada.in.Session.AccountID, s, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		state(domain.AccountDisabled)
		get().wantChallenge(t, 401, "invalid_token")
		state(domain.AccountActive)
		get().want(t, 200)
		if err := h.DB.SetClientDisabled(t.Context(), house.Todo, true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		get().wantChallenge(t, 401, "invalid_token")
		if err := h.DB.SetClientDisabled(t.Context(), house.Todo, false, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		if err := h.Sessions.End(t.Context(), ada.in.Session.ID, domain.EndedBySignOut); err != nil {
			t.Fatal(err)
		}
		get().wantChallenge(t, 401, "invalid_token")
	})
}

// DP06: a proof is good once, however many send it at the same time.
func TestOneProofFiftyTimesAtOnce(t *testing.T) {
	h := house.OnSQLite(t)
	w := open(t, h)
	ada := w.enter(t, h.Google, house.GoogleToken("ada"))
	access := ada.mint(t, ada.access())
	proof := ada.proof(t, "GET", "/account/v1", access)
	var accepted atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			r := w.request(t, "GET", "/account/v1", nil)
			r.Header.Set("Authorization", "DPoP "+access)
			r.Header.Set("DPoP", proof)
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			switch res.StatusCode {
			case http.StatusOK:
				accepted.Add(1)
			case http.StatusUnauthorized:
			default:
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
	all.Wait()
	if n := accepted.Load(); n != 1 {
		t.Errorf("accepted %d times", n)
	}
}
