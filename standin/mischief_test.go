package standin_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
)

func TestApplesAnswerIsAFormThatWorksWithoutScript(t *testing.T) {
	p := newWebProvider(t, standin.Apple)
	r, err := p.SignInAt(t.Context(), nil, authorizeURL(p, nil), "alice")
	if err != nil || r.Method != http.MethodPost || r.URL.String() != webReturn {
		t.Fatalf("%v, %v", r, err)
	}
	first, err := standin.ReadCallback(r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := standin.ReadCallback(r); err != nil || again.Encode() != first.Encode() {
		t.Errorf("read twice: %v, %v", again, err)
	}
	want := `{"email":"alice@example.com","name":{"firstName":"Alice","lastName":"Example"}}`
	if first.Get("user") != want {
		t.Errorf("user %s, want %s", first.Get("user"), want)
	}
	if second := walk(t, p, nil, "alice", nil); second.Has("user") || second.Get("code") == "" {
		t.Errorf("the second time: %v", second)
	}
	_, answer := redeem(t, p, first.Get("code"), nil)
	if tokens := p.AppleRefreshTokens(); len(tokens) != 1 || answer["refresh_token"] != tokens[0] {
		t.Errorf("refresh tokens %v, answer %v", tokens, answer)
	}
}

func TestAPersonMayCancel(t *testing.T) {
	for _, kind := range webKinds {
		p := newWebProvider(t, kind)
		r, err := p.DenyAt(t.Context(), nil, authorizeURL(p, nil))
		if err != nil {
			t.Fatal(err)
		}
		back, err := standin.ReadCallback(r)
		want := map[standin.Kind]string{standin.Apple: "user_cancelled_authorize"}[kind]
		if want == "" {
			want = "access_denied"
		}
		if err != nil || back.Get("error") != want || back.Get("state") != "the state" || back.Has("code") {
			t.Errorf("%s: %v, %v", kind, back, err)
		}
	}
}

// The ids are what people who test with a browser hold on to (package documentation).
func TestThePageHasTheIDsItPromises(t *testing.T) {
	p := newWebProvider(t, standin.OIDC)
	page := func(address string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	login := page(authorizeURL(p, func(q url.Values) { q.Set("login_hint", `"><script>`) }))
	for _, want := range []string{
		`<form id="standin-login" method="post"`, `<input id="username" name="username"`,
		`<button id="standin-allow" name="decision" value="allow">`, `<button id="standin-deny" name="decision" value="deny">`,
	} {
		if !strings.Contains(login, want) {
			t.Errorf("no %s in %s", want, login)
		}
	}
	if strings.Contains(login, `"><script>`) {
		t.Error("the hint is not escaped")
	}
	if refused := page(authorizeURL(p, func(q url.Values) { q.Del("client_id") })); !strings.Contains(refused, `<p id="standin-error">`) {
		t.Errorf("%s", refused)
	}
}

func TestMischiefIsDoneAsTold(t *testing.T) {
	p := newWebProvider(t, standin.OIDC)
	for name, tc := range map[string]struct {
		m    standin.Mischief
		want func(back url.Values) bool
	}{
		"another iss":   {standin.Mischief{Issuer: "https://evil.example"}, func(q url.Values) bool { return q.Get("iss") == "https://evil.example" }},
		"no iss":        {standin.Mischief{NoIssuer: true}, func(q url.Values) bool { return !q.Has("iss") }},
		"another code":  {standin.Mischief{Code: "stolen"}, func(q url.Values) bool { return q.Get("code") == "stolen" }},
		"an error":      {standin.Mischief{Error: "server_error"}, func(q url.Values) bool { return q.Get("error") == "server_error" && !q.Has("code") }},
		"honest again":  {standin.Mischief{}, func(q url.Values) bool { return q.Get("iss") == p.Issuer() && q.Has("code") }},
		"another state": {standin.Mischief{State: "x"}, func(q url.Values) bool { return q.Get("state") == "x" }},
	} {
		p.Misbehave(tc.m)
		r, err := p.SignInAt(t.Context(), nil, authorizeURL(p, nil), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if back, err := standin.ReadCallback(r); err != nil || !tc.want(back) {
			t.Errorf("%s: %v, %v", name, back, err)
		}
	}
	p.Misbehave(standin.Mischief{Nonce: "n", Audience: "a", Claims: func(c map[string]any) { c["extra"] = true }})
	_, answer := redeem(t, p, walk(t, p, nil, "alice", nil).Get("code"), nil)
	claims, err := standin.Claims(answer["id_token"].(string))
	if err != nil || claims["nonce"] != "n" || claims["aud"] != "a" || claims["extra"] != true {
		t.Errorf("%v, %v", claims, err)
	}
	p.Misbehave(standin.Mischief{TokenStatus: http.StatusInternalServerError})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL()+"/token", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	down, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Body.Close()
	if down.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", down.StatusCode)
	}
}

func TestWhatCannotBeRegisteredIsSaidSo(t *testing.T) {
	google, apple := newProvider(t, standin.Google), newProvider(t, standin.Apple)
	for name, err := range map[string]error{
		"no id":       google.Register(standin.Application{Secret: "x", RedirectURIs: []string{webReturn}}),
		"no redirect": google.Register(standin.Application{ClientID: "x", Secret: "x"}),
		"no secret":   google.Register(standin.Application{ClientID: "x", RedirectURIs: []string{webReturn}}),
		"no username": google.AddPerson(standin.Person{Subject: "7"}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := apple.Register(standin.Application{ClientID: "services.id", RedirectURIs: []string{webReturn}}); err != nil {
		t.Errorf("Apple has no secrets: %v", err)
	}
}
