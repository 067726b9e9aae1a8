package offer

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

const (
	issuer = "https://login.example"
	todo   = "https://todo.example"
	notes  = "https://notes.example"
	photos = "https://photos.example" // of no client
)

var shop = domain.Catalog{Resources: []domain.Resource{
	{ID: "todo", Audience: todo, Scopes: []string{"todos.read", "todos.write", "shared"}},
	{ID: "notes", Audience: notes, Scopes: []string{"notes.read", "shared"}},
	{ID: "photos", Audience: photos, Scopes: []string{"photos.read"}},
}}

func appOffer() Offer {
	return Of(&shop, &domain.Client{
		ID: "app", Type: domain.ClientNative, Resources: []string{"todo", "notes"},
		Scopes: strings.Fields("openid profile email offline_access todos.read todos.write notes.read shared account.read account.manage orphan"),
	}, issuer)
}

// is compares a list with its text, "" being none.
func is(list []string, text string) bool { return strings.Join(list, " ") == text }

// rfc9068-3-01, rfc9068-3-03
func TestWhatASignInIsGranted(t *testing.T) {
	for _, c := range []struct {
		name, scope string
		resource    []string
		want        string // scope
		audiences   string
		err         oauth.Code
	}{
		{"rfc6749-3.3-02 rfc9700-2.3-01 no scope is openid offline_access and the issuer", "", nil, "openid offline_access", issuer, ""},
		{"scopes about the person belong to no resource", "openid profile email", nil, "openid profile email", issuer, ""},
		{"account scopes belong to the issuer", "openid account.read", nil, "openid account.read", issuer, ""},
		{"one owner is the audience", "openid todos.read", nil, "openid todos.read", todo, ""},
		{"repeated scopes count once", "todos.read todos.read", nil, "todos.read", todo, ""},
		{"a scope of two resources belongs to the client's first", "shared", nil, "shared", todo, ""},
		{"two owners must be named", "todos.read notes.read", nil, "", "", oauth.InvalidTarget},
		{"the issuer is an owner like another", "todos.read account.read", nil, "", "", oauth.InvalidTarget},
		{"named, the first is the audience", "todos.read notes.read", []string{notes, todo}, "todos.read notes.read", notes + " " + todo, ""},
		{"the issuer may be named", "openid", []string{issuer}, "openid", issuer, ""},
		{"a resource without a scope of it", "openid", []string{todo}, "openid", todo, ""},
		{"rfc8693-2.1-04 a resource named twice counts once", "todos.read", []string{todo, todo}, "todos.read", todo, ""},
		{"a shared scope needs any of its owners", "shared", []string{notes}, "shared", notes, ""},
		{"the owner is not among the named", "todos.read", []string{notes}, "", "", oauth.InvalidScope},
		{"nor is the issuer", "account.read", []string{todo}, "", "", oauth.InvalidScope},
		{"rfc8693-2.2.2-02 a resource of other clients", "openid", []string{photos}, "", "", oauth.InvalidTarget},
		{"an unknown resource", "openid", []string{"https://evil.example"}, "", "", oauth.InvalidTarget},
		{"a resource spelt otherwise", "openid", []string{todo + "/"}, "", "", oauth.InvalidTarget},
		{"a resource with a fragment", "openid", []string{todo + "#x"}, "", "", oauth.InvalidTarget},
		{"the id of a resource is not its audience", "openid", []string{"todo"}, "", "", oauth.InvalidTarget},
		{"rfc6749-5.2-07 an unknown scope", "openid admin", nil, "", "", oauth.InvalidScope},
		{"a scope of another client's resource", "photos.read", nil, "", "", oauth.InvalidScope},
		{"a scope nobody owns", "orphan", nil, "", "", oauth.InvalidScope},
		{"a scope of another case", "OpenID", nil, "", "", oauth.InvalidScope},
		{"a malformed scope", `open"id`, nil, "", "", oauth.InvalidScope},
		{"two spaces", "openid  email", nil, "", "", oauth.InvalidScope},
		{"too many scopes", strings.Repeat("openid ", 64) + "openid", nil, "", "", oauth.InvalidScope},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := appOffer().SignIn(c.scope, c.resource)
			if c.err != "" {
				if err == nil || oauth.AsError(err).Code != c.err {
					t.Fatalf("%+v %v", got, err)
				}
				return
			}
			if err != nil || !is(got.Scope, c.want) || !is(got.Resources, c.audiences) {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestNoScopeIsNeverMoreThanTheClientMay(t *testing.T) {
	for may, want := range map[string]string{
		"openid offline_access todos.read": "openid offline_access", "openid": "openid", "offline_access": "offline_access", "todos.read": "",
	} {
		o := Of(&shop, &domain.Client{Scopes: strings.Fields(may), Resources: []string{"todo"}}, issuer)
		got, err := o.SignIn("", nil)
		if err != nil || !is(got.Scope, want) || !is(got.Resources, issuer) {
			t.Errorf("%q: %+v %v", may, got, err)
		}
	}
}

// KL03: whoever sends a token as scope does not find it in our log.
func TestALongScopeIsNotRepeated(t *testing.T) {
	token := "cs_rt_" + strings.Repeat("x", 82)
	_, atSignIn := appOffer().SignIn(token, nil)
	_, _, atRefresh := appOffer().Narrow([]string{"openid"}, []string{todo}, token, nil)
	for _, err := range []error{atSignIn, atRefresh} {
		if err == nil || oauth.AsError(err).Code != oauth.InvalidScope || strings.Contains(err.Error(), token) {
			t.Errorf("%v", err)
		}
	}
}

func TestWhatARefreshMayNarrow(t *testing.T) { // RT13
	both := []string{todo, notes}
	granted := "openid offline_access todos.read notes.read"
	for _, c := range []struct {
		name, granted string
		resources     []string
		scope         string
		resource      []string
		audience      string
		want          string
		err           oauth.Code
	}{
		{"rfc6749-6-02 nothing named is the first resource and all of the grant that goes with it", granted, both, "", nil, todo, "openid offline_access todos.read", ""},
		{"rfc9700-2.3-02 another resource of the session", granted, both, "", []string{notes}, notes, "openid offline_access notes.read", ""},
		{"less scope", granted, both, "todos.read", nil, todo, "todos.read", ""},
		{"a scope of the second resource alone means that one", granted, both, "openid notes.read", nil, notes, "openid notes.read", ""},
		{"the whole grant repeated is the first resource", granted, both, granted, nil, todo, "openid offline_access todos.read", ""},
		{"a scope and its resource", granted, both, "notes.read", []string{notes}, notes, "notes.read", ""},
		{"a scope of the other resource is left out", granted, both, "openid notes.read", []string{todo}, todo, "openid", ""},
		{"nothing but a scope of the other resource", granted, both, "notes.read", []string{todo}, "", "", oauth.InvalidScope},
		{"rfc6749-6-01 more scope than granted", granted, both, "todos.write", nil, "", "", oauth.InvalidScope},
		{"a scope the client may not have at all", granted, both, "admin", nil, "", "", oauth.InvalidScope},
		{"a malformed scope", granted, both, "a\x00b", nil, "", "", oauth.InvalidScope},
		{"a resource outside the session", granted, []string{todo}, "", []string{notes}, "", "", oauth.InvalidTarget},
		{"the issuer, where it was not granted", granted, both, "", []string{issuer}, "", "", oauth.InvalidTarget},
		{"two resources", granted, both, "", both, "", "", oauth.InvalidTarget},
		{"one resource named twice", granted, both, "", []string{todo, todo}, todo, "openid offline_access todos.read", ""},
		{"account scopes go with the issuer", "openid account.read", []string{issuer}, "", nil, issuer, "openid account.read", ""},
		{"what was taken from the client since is left out", "openid gone", []string{todo}, "", nil, todo, "openid", ""},
		{"so is a resource", "openid photos.read", []string{photos}, "", nil, "", "", oauth.InvalidTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			audience, scope, err := appOffer().Narrow(strings.Fields(c.granted), c.resources, c.scope, c.resource)
			if c.err != "" {
				if err == nil || oauth.AsError(err).Code != c.err {
					t.Fatalf("%q %q %v", audience, scope, err)
				}
				return
			}
			if err != nil || audience != c.audience || !is(scope, c.want) {
				t.Errorf("%q %q %v", audience, scope, err)
			}
		})
	}
}

func TestWhatAServiceGetsForItself(t *testing.T) {
	one := &domain.Client{ID: "nightly", Type: domain.ClientService, Resources: []string{"todo"}, Scopes: []string{"todos.read", "todos.write"}}
	two := &domain.Client{ID: "nightly", Type: domain.ClientService, Resources: []string{"todo", "notes"}, Scopes: []string{"todos.read", "notes.read"}}
	greedy := &domain.Client{ID: "nightly", Type: domain.ClientService, Resources: []string{"todo"}, Scopes: strings.Fields("openid offline_access account.manage todos.read")}
	none := &domain.Client{ID: "nightly", Type: domain.ClientService}
	for _, c := range []struct {
		name     string
		client   *domain.Client
		scope    string
		resource []string
		audience string
		want     string
		err      oauth.Code
	}{
		{"no scope is all of its one resource", one, "", nil, todo, "todos.read todos.write", ""},
		{"less", one, "todos.read", nil, todo, "todos.read", ""},
		{"its resource by name", one, "", []string{todo}, todo, "todos.read todos.write", ""},
		{"two resources must be told apart", two, "", nil, "", "", oauth.InvalidTarget},
		{"by name", two, "", []string{notes}, notes, "notes.read", ""},
		{"or by scope", two, "notes.read", nil, notes, "notes.read", ""},
		{"scopes of two resources", two, "notes.read todos.read", nil, "", "", oauth.InvalidTarget},
		{"a scope of the other resource", two, "notes.read", []string{todo}, "", "", oauth.InvalidScope},
		{"two resources in one request", two, "", []string{todo, notes}, "", "", oauth.InvalidTarget},
		{"TK12 never offline_access", greedy, "offline_access", nil, "", "", oauth.InvalidScope},
		{"never openid", greedy, "openid", nil, "", "", oauth.InvalidScope},
		{"never an account scope", greedy, "account.manage", nil, "", "", oauth.InvalidScope},
		{"nor by leaving scope out", greedy, "", nil, todo, "todos.read", ""},
		{"never the issuer", greedy, "", []string{issuer}, "", "", oauth.InvalidTarget},
		{"a resource it does not have", one, "", []string{notes}, "", "", oauth.InvalidTarget},
		{"an unknown scope", one, "admin", nil, "", "", oauth.InvalidScope},
		{"a client without resources", none, "", nil, "", "", oauth.InvalidTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Of(&shop, c.client, issuer).Service(Wish{Scope: c.scope, Resources: c.resource})
			audience, scope := got.Audience, got.Scope
			if c.err != "" {
				if err == nil || oauth.AsError(err).Code != c.err {
					t.Fatalf("%q %q %v", audience, scope, err)
				}
				return
			}
			if err != nil || audience != c.audience || !is(scope, c.want) {
				t.Errorf("%q %q %v", audience, scope, err)
			}
		})
	}
}

// What a token carries never exceeds the grant, whatever is asked.
func FuzzNarrow(f *testing.F) {
	f.Add("openid todos.read", todo)
	f.Add("", notes)
	f.Add("todos.write", "")
	ceiling, resources := strings.Fields("openid todos.read notes.read"), []string{todo, notes}
	f.Fuzz(func(t *testing.T, scope, resource string) {
		var named []string
		if resource != "" {
			named = []string{resource}
		}
		audience, got, err := appOffer().Narrow(ceiling, resources, scope, named)
		if err != nil {
			return
		}
		if audience != todo && audience != notes {
			t.Errorf("audience %q", audience)
		}
		for _, s := range got {
			if !slices.Contains(ceiling, s) {
				t.Errorf("scope %q was never granted", s)
			}
		}
	})
}
