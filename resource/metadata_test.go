package resource_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/resource"
)

// fetched is a document as it came.
type fetched struct {
	status int
	header http.Header
	json   map[string]any
}

// document mounts the handler as an app server does and fetches from there.
func document(t *testing.T, c resource.Config, method, path string) (got fetched) {
	t.Helper()
	v, err := resource.New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	if v.MetadataPath() != "" {
		mux.Handle(v.MetadataPath(), v.MetadataHandler())
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got = fetched{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&got.json); got.status == http.StatusOK && err != nil {
		t.Fatal(err)
	}
	return got
}

func described(edit func(*resource.Config)) resource.Config {
	c := resource.Config{Issuer: "https://login.example.com", Audience: "https://api.example.com/todos", Metadata: &resource.Metadata{
		Scopes: []string{"todos.read", "todos.write"}, DetailTypes: []string{"todo_share"}, Name: "Todos",
		Documentation: "https://api.example.com/docs", PolicyURI: "https://example.com/privacy", TermsURI: "https://example.com/terms",
	}}
	if edit != nil {
		edit(&c)
	}
	return c
}

const wellKnown = "/.well-known/oauth-protected-resource"

// rfc9728-2-01 rfc9728-2-02 rfc9728-3-01 rfc9728-3.1-01 rfc9728-3.2-01 rfc9728-3.2-02 rfc9728-7.3-01
func TestAnAppServerSaysWhoseTokensItTakes(t *testing.T) {
	got := document(t, described(nil), http.MethodGet, wellKnown+"/todos")
	want := map[string]any{
		"resource": "https://api.example.com/todos", "authorization_servers": []any{"https://login.example.com"},
		"scopes_supported": []any{"todos.read", "todos.write"}, "bearer_methods_supported": []any{"header"},
		"dpop_signing_alg_values_supported":     []any{"ES256", "RS256", "PS256", "EdDSA", "Ed25519"},
		"authorization_details_types_supported": []any{"todo_share"}, "resource_name": "Todos",
		"resource_documentation": "https://api.example.com/docs", "resource_policy_uri": "https://example.com/privacy",
		"resource_tos_uri": "https://example.com/terms",
	}
	if diff := cmp.Diff(want, got.json); diff != "" {
		t.Error(diff)
	}
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(got.header.Get("Cache-Control"), "max-age=300") {
		t.Errorf("%v", got.header)
	}
}

func TestWhatIsNotThereIsNotInTheDocument(t *testing.T) { // rfc9728-3.2-03
	c := described(func(c *resource.Config) { c.Metadata, c.RequireDPoP = &resource.Metadata{Certificates: true}, true })
	got := document(t, c, http.MethodGet, wellKnown+"/todos").json
	if got["dpop_bound_access_tokens_required"] != true || got["tls_client_certificate_bound_access_tokens"] != true || len(got) != 6 {
		t.Errorf("%v", got)
	}
}

func TestWhereTheDocumentIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(*resource.Config)
		method string
		path   string
		status int
	}{
		"at the root, of an audience with a path": {nil, "GET", wellKnown, 404},
		"below it":                               {nil, "GET", wellKnown + "/todos/more", 404},
		"without Metadata":                       {func(c *resource.Config) { c.Metadata = nil }, "GET", wellKnown + "/todos", 404},
		"by POST":                                {nil, "POST", wellKnown + "/todos", 405},
		"below an audience that ends in a slash": {func(c *resource.Config) { c.Audience += "/" }, "GET", wellKnown + "/todos/x", 404},
		"of an audience that ends in a slash":    {func(c *resource.Config) { c.Audience += "/" }, "GET", wellKnown + "/todos/", 200},
	} {
		t.Run(name, func(t *testing.T) {
			if got := document(t, described(c.edit), c.method, c.path); got.status != c.status {
				t.Error(got.status)
			}
		})
	}
	plain, err := resource.New(described(func(c *resource.Config) { c.Metadata = nil }))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	plain.MetadataHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, wellKnown, http.NoBody))
	if w.Code != http.StatusNotFound || plain.MetadataPath() != "" {
		t.Error(w.Code)
	}
}

// rfc9728-1.2-01
func TestMetadataThatNoClientWouldTakeIsRefused(t *testing.T) {
	for name, edit := range map[string]func(*resource.Config){
		"an audience over http":       func(c *resource.Config) { c.Audience = "http://api.example.com" },
		"an audience with a fragment": func(c *resource.Config) { c.Audience = "https://api.example.com#x" },
		"an audience that is a name":  func(c *resource.Config) { c.Audience, c.BaseURL = "todo-api", "https://api.example.com" },
		"an audience with a user":     func(c *resource.Config) { c.Audience = "https://a@api.example.com" },
		"documentation without host":  func(c *resource.Config) { c.Metadata.Documentation = "docs.html" },
		"a policy by script":          func(c *resource.Config) { c.Metadata.PolicyURI = "javascript://x/%0aalert(1)" },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := resource.New(described(edit)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// rfc9728-5.1-01: whatever is refused, the challenge leads to the document.
func TestChallengesLeadToTheDocument(t *testing.T) {
	a := newAPI(t, func(c *resource.Config) { c.Metadata = &resource.Metadata{} })
	want := `resource_metadata="` + a.URL + wellKnown + `"`
	token := a.issuer.token(nil)
	for name, got := range map[string]answer{
		"nothing came":   a.get(t, ""),
		"a bad token":    a.get(t, "Bearer forged"),
		"a bad scheme":   a.get(t, "DPoP "+token),
		"too little":     a.do(t, a.request(t, http.MethodGet, "/write", "Bearer "+token)),
		"two places":     a.do(t, a.request(t, http.MethodGet, "/todos?access_token=x", "")),
		"another scheme": a.get(t, "Basic dTpw"),
	} {
		for _, challenge := range got.header.Values("WWW-Authenticate") {
			if strings.Count(challenge, want) != 1 {
				t.Errorf("%s: %s", name, challenge)
			}
		}
		if got.challenge == "" {
			t.Errorf("%s: no challenge: %d", name, got.status)
		}
	}
	if plain := newAPI(t, nil).get(t, ""); strings.Contains(plain.challenge, "resource_metadata") {
		t.Errorf("it leads nowhere: %s", plain.challenge)
	}
}
