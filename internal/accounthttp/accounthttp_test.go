package accounthttp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/accounthttp"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/house"
)

// world is a house with its account API on a socket.
type world struct {
	*house.House
	door *accounthttp.Door
	url  string
}

func open(t *testing.T, h *house.House) world {
	t.Helper()
	client := func(_ context.Context, id string) (*domain.Client, error) { return h.Client(id), nil }
	door := &accounthttp.Door{Issuer: house.Issuer, DB: h.DB, Bearer: h.Bearer, SignIn: h.SignIn, Client: client}
	server := httptest.NewServer(httpd.Handler(httpd.Options{
		DPoPNonce: func() string { return h.Nonces.Mint(h.DB.Now()) },
	}, door.Routes()))
	t.Cleanup(server.Close)
	return world{h, door, server.URL}
}

// phone is a person's device, signed in.
type phone struct {
	world
	key *dpop.Prover
	in  *signin.Result
}

func (w world) enter(t *testing.T, p *standin.Provider, tr standin.TokenRequest) phone {
	t.Helper()
	key := w.Phone(t)
	return phone{w, key, w.Enter(t, w.Request(t, p, tr, house.Todo, key.JKT()))}
}

// access is what a token says unless a test wants otherwise.
func (p phone) access() token.Access {
	s := p.in.Session
	return token.Access{
		Client: p.Client(house.Todo), AccountID: s.AccountID, SessionID: s.ID, Audience: house.Issuer,
		Scope: []string{"openid", "account.read", "account.manage"}, JKT: s.JKT,
	}
}

func (p phone) mint(t *testing.T, a token.Access) string {
	t.Helper()
	m, err := p.Tokens.MintAccess(p.DB.Now(), a)
	if err != nil {
		t.Fatal(err)
	}
	return m.Token
}

// fresh is a token that says the person proved themselves a minute ago.
func (p phone) fresh(t *testing.T) string {
	a := p.access()
	a.AuthTime = p.DB.Now().Add(-time.Minute)
	return p.mint(t, a)
}

func (p phone) proof(t *testing.T, method, path, access string) string {
	t.Helper()
	proof, err := p.key.Proof(method, house.Issuer+path, "", access, p.DB.Now())
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// call sends a request the way the client contract says.
func (p phone) call(t *testing.T, method, path, access string, body any) answer {
	t.Helper()
	r := p.request(t, method, path, body)
	r.Header.Set("Authorization", "DPoP "+access)
	r.Header.Set("DPoP", p.proof(t, method, path, access))
	return p.send(t, r)
}

func (w world) request(t *testing.T, method, path string, body any) *http.Request {
	t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, in)
	if err != nil {
		t.Fatal(err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// answer is what came over the wire.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send also asserts what holds for every answer.
func (w world) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode >= 500 || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("DPoP-Nonce") == "" {
		t.Errorf("%s %s: %d, Cache-Control %q, DPoP-Nonce %q", r.Method, r.URL.Path, res.StatusCode,
			res.Header.Get("Cache-Control"), res.Header.Get("DPoP-Nonce"))
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("SE16: the account API answers other origins")
	}
	return answer{res.StatusCode, res.Header, body}
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("got %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// wantChallenge asserts a 401 or 403 with the error in WWW-Authenticate (RFC 6750 §3).
func (a answer) wantChallenge(t *testing.T, status int, code string) {
	t.Helper()
	a.want(t, status)
	challenges := strings.Join(a.header.Values("WWW-Authenticate"), ", ")
	if code == "" && strings.Contains(challenges, "error=") || code != "" && !strings.Contains(challenges, `error="`+code+`"`) {
		t.Errorf("WWW-Authenticate %s; want error %q", challenges, code)
	}
	if !strings.Contains(challenges, `algs="ES256`) {
		t.Errorf("WWW-Authenticate %s does not name the proofs we take", challenges)
	}
}

// wantProblem asserts RFC 9457.
func (a answer) wantProblem(t *testing.T, status int, typ string) {
	t.Helper()
	a.want(t, status)
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	a.decode(t, &problem)
	if a.header.Get("Content-Type") != "application/problem+json" || problem.Type != typ ||
		problem.Status != status || problem.Title == "" || problem.Detail == "" {
		t.Errorf("%s %+v", a.header.Get("Content-Type"), problem)
	}
}

func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

type session struct {
	ID, Tier, Provider string
	Current            bool
	ClientID           string    `json:"client_id"`
	ClientName         string    `json:"client_name"`
	DeviceName         string    `json:"device_name"`
	CreatedAt          time.Time `json:"created_at"`
	LastRefreshedAt    time.Time `json:"last_refreshed_at"`
}

func TestReadTheAccount(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		w := open(t, h)
		ada := w.enter(t, h.Google, house.GoogleToken("ada"))
		tablet := w.enter(t, h.Google, house.GoogleToken("ada"))
		w.enter(t, h.Google, house.GoogleToken("bob"))
		a := ada.access()
		a.Scope = []string{"account.read"}
		access := ada.mint(t, a)

		var account struct {
			ID        string
			CreatedAt time.Time `json:"created_at"`
			SessionID string    `json:"session_id"`
			ClientID  string    `json:"client_id"`
		}
		ada.call(t, "GET", "/account/v1", access, nil).want(t, 200).decode(t, &account)
		if account.ID != ada.in.Session.AccountID.String() || account.SessionID != ada.in.Session.ID.String() ||
			account.ClientID != house.Todo || account.CreatedAt.IsZero() {
			t.Errorf("account %+v", account)
		}

		var sessions struct{ Sessions []session }
		ada.call(t, "GET", "/account/v1/sessions", access, nil).want(t, 200).decode(t, &sessions)
		if len(sessions.Sessions) != 2 {
			t.Fatalf("sessions %+v", sessions.Sessions)
		}
		for _, s := range sessions.Sessions {
			mine := s.ID == ada.in.Session.ID.String()
			if !mine && s.ID != tablet.in.Session.ID.String() || s.Current != mine {
				t.Errorf("session %s, current %v", s.ID, s.Current)
			}
			if s.Tier != "bound" || s.Provider != "google" || s.ClientName != "Todo" || s.DeviceName != "Ada's phone" ||
				s.CreatedAt.IsZero() || s.LastRefreshedAt.Before(s.CreatedAt) {
				t.Errorf("session %+v", s)
			}
		}

		var identities struct {
			Identities []struct {
				ID, Provider, Email, Name string
				EmailVerified             bool `json:"email_verified"`
			}
		}
		ada.call(t, "GET", "/account/v1/identities", access, nil).want(t, 200).decode(t, &identities)
		if len(identities.Identities) != 1 || identities.Identities[0].Email != "ada@gmail.com" || !identities.Identities[0].EmailVerified {
			t.Errorf("identities %+v", identities.Identities)
		}
		ada.call(t, "DELETE", "/account/v1/sessions", access, nil).wantChallenge(t, 403, "insufficient_scope")
	})
}

func TestLinkAndUnlinkOverTheWire(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		w := open(t, h)
		ada := w.enter(t, h.Google, house.GoogleToken("ada"))
		stale, jkt := ada.mint(t, ada.access()), ada.key.JKT()
		evidence := func(p *standin.Provider, tr standin.TokenRequest, purpose signin.Purpose) signin.Evidence {
			return h.Evidence(t, p, tr, house.Todo, jkt, purpose)
		}
		apple := evidence(h.Apple, house.AppleToken("ada"), signin.PurposeLink)
		link := map[string]any{
			"subject_token": apple.SubjectToken, "nonce": apple.Nonce, "provider_code": apple.ProviderCode, "user": apple.User,
		}
		t.Run("ID17 without a fresh proof", func(t *testing.T) {
			a := ada.call(t, "POST", "/account/v1/identities", stale, link)
			a.wantChallenge(t, 401, "insufficient_user_authentication")
			if !strings.Contains(a.header.Get("WWW-Authenticate"), `max_age="300"`) {
				t.Errorf("WWW-Authenticate %s", a.header.Get("WWW-Authenticate"))
			}
		})
		var linked struct{ ID, Provider, Name string }
		t.Run("C29 the same request with a proof", func(t *testing.T) {
			proof := evidence(h.Google, house.GoogleToken("ada"), signin.PurposeReauth)
			link["reauth_token"], link["reauth_nonce"] = proof.SubjectToken, proof.Nonce
			ada.call(t, "POST", "/account/v1/identities", stale, link).want(t, 201).decode(t, &linked)
			if linked.Provider != "apple" || linked.Name != "Ada Lovelace" {
				t.Errorf("linked %+v", linked)
			}
		})
		t.Run("once more is no change", func(t *testing.T) {
			e := evidence(h.Apple, house.AppleToken("ada"), signin.PurposeLink)
			again := map[string]any{"subject_token": e.SubjectToken, "nonce": e.Nonce, "provider_code": e.ProviderCode}
			ada.call(t, "POST", "/account/v1/identities", ada.fresh(t), again).want(t, 200)
		})
		t.Run("ID17 an identity of another account", func(t *testing.T) {
			bob := w.enter(t, h.Google, house.GoogleToken("bob"))
			e := h.Evidence(t, h.Apple, house.AppleToken("ada"), house.Todo, bob.key.JKT(), signin.PurposeLink)
			body := map[string]any{"subject_token": e.SubjectToken, "nonce": e.Nonce, "provider_code": e.ProviderCode}
			bob.call(t, "POST", "/account/v1/identities", bob.fresh(t), body).
				wantProblem(t, 409, "urn:countersign:problem:linked-elsewhere")
		})
		t.Run("a forged token", func(t *testing.T) {
			e := evidence(h.Corp, house.CorpToken("ada"), signin.PurposeLink)
			body := map[string]any{"subject_token": e.SubjectToken + "x", "nonce": e.Nonce}
			ada.call(t, "POST", "/account/v1/identities", ada.fresh(t), body).wantProblem(t, 400, "about:blank")
		})
		t.Run("unlink with an Apple proof", func(t *testing.T) {
			proof := evidence(h.Apple, house.AppleToken("ada"), signin.PurposeReauth)
			body := map[string]any{
				"reauth_token": proof.SubjectToken, "reauth_nonce": proof.Nonce, "reauth_provider_code": proof.ProviderCode,
			}
			ada.call(t, "DELETE", "/account/v1/identities/"+ada.in.Session.IdentityID.String(), stale, body).want(t, 204)
		})
		t.Run("ID18 the last one", func(t *testing.T) {
			ada.call(t, "DELETE", "/account/v1/identities/"+linked.ID, ada.fresh(t), nil).
				wantProblem(t, 409, "urn:countersign:problem:last-identity")
		})
		t.Run("one that is not there", func(t *testing.T) {
			for _, id := range []string{ada.in.Session.IdentityID.String(), "idn_x", ada.in.Session.ID.String()} {
				ada.call(t, "DELETE", "/account/v1/identities/"+id, ada.fresh(t), nil).
					wantProblem(t, 404, "urn:countersign:problem:not-found")
			}
		})
	})
}

func TestEndSessionsOverTheWire(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		w := open(t, h)
		ada := w.enter(t, h.Google, house.GoogleToken("ada"))
		tablet, watch := w.enter(t, h.Google, house.GoogleToken("ada")), w.enter(t, h.Google, house.GoogleToken("ada"))
		bob := w.enter(t, h.Google, house.GoogleToken("bob"))
		stale := ada.mint(t, ada.access())
		path := func(p phone) string { return "/account/v1/sessions/" + p.in.Session.ID.String() }

		ada.call(t, "DELETE", path(bob), ada.fresh(t), nil).wantProblem(t, 404, "urn:countersign:problem:not-found") // SE14
		ada.call(t, "DELETE", path(bob), stale, nil).wantProblem(t, 404, "urn:countersign:problem:not-found")
		ada.call(t, "DELETE", "/account/v1/sessions/x", stale, nil).wantProblem(t, 404, "urn:countersign:problem:not-found")
		ada.call(t, "DELETE", path(tablet), stale, nil).wantChallenge(t, 401, "insufficient_user_authentication")
		ada.call(t, "DELETE", "/account/v1/sessions", stale, nil).wantChallenge(t, 401, "insufficient_user_authentication")
		tablet.call(t, "GET", "/account/v1", tablet.mint(t, tablet.access()), nil).want(t, 200)

		ada.call(t, "DELETE", path(tablet), ada.fresh(t), nil).want(t, 204)
		tablet.call(t, "GET", "/account/v1", tablet.mint(t, tablet.access()), nil).wantChallenge(t, 401, "invalid_token")
		a := ada.call(t, "DELETE", "/account/v1/sessions", ada.fresh(t), nil).want(t, 200)
		if string(a.body) != `{"ended":1}` {
			t.Errorf("body %s", a.body)
		}
		watch.call(t, "GET", "/account/v1", watch.mint(t, watch.access()), nil).wantChallenge(t, 401, "invalid_token")
		ada.call(t, "DELETE", path(ada), stale, nil).want(t, 204) // one's own needs no proof
		ada.call(t, "GET", "/account/v1", stale, nil).wantChallenge(t, 401, "invalid_token")
		bob.call(t, "GET", "/account/v1", bob.mint(t, bob.access()), nil).want(t, 200)
	})
}

func TestBodiesAreReadStrictly(t *testing.T) {
	h := house.OnSQLite(t)
	w := open(t, h)
	ada := w.enter(t, h.Google, house.GoogleToken("ada"))
	for _, tt := range []struct{ name, method, path, body string }{
		{"no body", "POST", "/account/v1/identities", ""},
		{"no JSON", "POST", "/account/v1/identities", "subject_token=x"},
		{"a field we do not know", "POST", "/account/v1/identities", `{"subject_token":"x","account_id":"y"}`},
		{"a field twice", "POST", "/account/v1/identities", `{"nonce":"x","nonce":"y"}`},
		{"a field in another case", "POST", "/account/v1/identities", `{"Nonce":"x"}`},
		{"a wrong type", "POST", "/account/v1/identities", `{"nonce":1}`},
		{"two documents", "POST", "/account/v1/identities", `{}{}`},
		{"a field we do not know, deleting", "DELETE", "/account/v1/sessions", `{"all":true}`},
		{"a list, deleting", "DELETE", "/account/v1/sessions", `[]`},
		{"a field we do not know, deleting one", "DELETE", "/account/v1/sessions/" + ada.in.Session.ID.String(), `{"x":1}`},
		{"a field we do not know, unlinking", "DELETE", "/account/v1/identities/" + ada.in.Session.IdentityID.String(), `{"x":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ada.call(t, tt.method, tt.path, ada.fresh(t), tt.body).wantProblem(t, 400, "about:blank")
		})
	}
	if v, err := h.DB.Session(t.Context(), ada.in.Session.ID); err != nil || v.State != domain.SessionLive {
		t.Errorf("the session was ended: %v, %v", v, err)
	}
}
