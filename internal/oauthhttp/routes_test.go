package oauthhttp_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauthhttp"
)

// What every route of the table owes, without a database behind it: a request refused here reaches no rule. A new
// route is tested by being in the table.

// bare is a door whose rules would panic if anything reached them.
func bare(t *testing.T) (string, []httpd.Route) {
	t.Helper()
	empty := &domain.Catalog{}
	clients := &clientauth.Service{Catalog: func() *domain.Catalog { return empty }}
	door := &oauthhttp.Door{
		Issuer: "https://login.example", Clients: clients, Grant: &grant.Service{Clients: clients}, Bearer: &bearer.Service{},
	}
	nonce := func() string { return "fresh" }
	srv := httptest.NewServer(httpd.Handler(httpd.Options{DPoPNonce: nonce}, door.Routes()))
	t.Cleanup(srv.Close)
	return srv.URL, door.Routes()
}

// methods lists what a path takes, by the table.
func methods(table []httpd.Route, path string) []string {
	var list []string
	for _, r := range table {
		if r.Path == path {
			list = append(list, r.Method)
		}
	}
	return list
}

// takesForm tells whether a route reads a form and nothing else.
func takesForm(r httpd.Route) bool { return r.Method == http.MethodPost }

func TestNoRouteTakesAnotherMethod(t *testing.T) { // TK01 IR01 rfc6749-3.2-02 rfc7662-4-05
	url, table := bare(t)
	for _, route := range table {
		taken := methods(table, route.Path)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} {
			if slices.Contains(taken, method) || method == "HEAD" && slices.Contains(taken, "GET") {
				continue
			}
			a := request(t, method, url+route.Path+"?token=secret&client_id=x", "")
			if a.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(a.Header.Get("Allow"), taken[0]) ||
				a.Header.Get("Cache-Control") != "no-store" || strings.Contains(a.body, "secret") {
				t.Errorf("%s %s: %d %v %s", method, route.Path, a.StatusCode, a.Header, a.body)
			}
		}
	}
}

// TK01 TK02 TK16 DS01 IR01 rfc6749-2.3.1-03 rfc6749-3.2-05 rfc6749-5.2-02 rfc9700-4.3.2-01
func TestEveryFormIsReadStrictly(t *testing.T) {
	url, table := bare(t)
	const form = "application/x-www-form-urlencoded"
	for _, route := range table {
		if !takesForm(route) {
			continue
		}
		for _, c := range []struct {
			name, query, contentType, body string
			status                         int
		}{
			{"a duplicate field", "", form, "client_id=a&client_id=b", 400},
			{"a duplicate empty field", "", form, "token=&token=", 400},
			{"a parameter in the query", "?client_secret=hunter2", form, "client_id=a", 400},
			{"a token in the query", "?token=hunter2", form, "client_id=a", 400},
			{"JSON", "", "application/json", `{"client_id":"a"}`, 400},
			{"multipart", "", "multipart/form-data; boundary=x", "--x--", 400},
			{"65 fields", "", form, crowd(65), 400},
			{"100 000 fields", "", form, strings.Repeat("a=1&", 100_000), 413},
			{"more than 64 KiB", "", form, "client_id=" + strings.Repeat("a", 64<<10), 413},
			{"a broken escape", "", form, "client_id=%", 400},
		} {
			t.Run(route.Path+" "+c.name, func(t *testing.T) {
				a := request(t, "POST", url+route.Path+c.query, c.body, "Content-Type", c.contentType)
				if !a.failed(t, c.status, "invalid_request") || a.Header.Get("Cache-Control") != "no-store" ||
					strings.Contains(a.body, "hunter2") {
					t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
				}
			})
		}
	}
}

func crowd(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("p" + strings.Repeat("x", i) + "=1&")
	}
	return b.String()
}

// Nobody gets anywhere without saying who they are. IR01 rfc7662-2.1-03 rfc7662-2.3-01 rfc9449-7.2-02
func TestWithoutCredentialsEveryRouteButTheDocumentsIs401(t *testing.T) {
	url, table := bare(t)
	for _, route := range table {
		if route.Method == http.MethodGet && route.Path != "/userinfo" {
			continue // a public document
		}
		a := request(t, route.Method, url+route.Path, "", "Content-Type", "application/x-www-form-urlencoded")
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") == "" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %v", route.Method, route.Path, a.StatusCode, a.Header)
		}
		if route.Path == "/userinfo" && (a.body != "" || strings.Contains(strings.Join(a.Header.Values("WWW-Authenticate"), ","), "error")) {
			t.Errorf("%s %s: an error code without credentials: %v %s", route.Method, route.Path, a.Header, a.body)
		}
	}
}

// rfc9449-8-03, rfc9449-8.2-01
func TestEveryAnswerOfAnEndpointThatTakesProofsBringsOneNonce(t *testing.T) {
	url, table := bare(t)
	for _, route := range table {
		takesProofs := slices.Contains([]string{"/token", "/par", "/challenge", "/userinfo"}, route.Path)
		for _, method := range []string{route.Method, "PUT"} {
			got := request(t, method, url+route.Path, "x").Header.Values("DPoP-Nonce")
			if takesProofs && (len(got) != 1 || got[0] != "fresh") || !takesProofs && len(got) != 0 {
				t.Errorf("%s %s: DPoP-Nonce %q", method, route.Path, got)
			}
		}
	}
}

// rfc7009-2.3-01, rfc9449-8-04
func TestBrowserClientsReachWhatTheyNeedAndNothingElse(t *testing.T) {
	_, table := bare(t)
	open := []string{"/token", "/par", "/userinfo", "/revoke", "/challenge", "/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
		"/.well-known/oauth-protected-resource"}
	for _, route := range table {
		if route.CORS != slices.Contains(open, route.Path) {
			t.Errorf("%s: CORS %v", route.Path, route.CORS)
		}
	}
}

func TestAnAccessTokenTravelsInOnePlaceAndNeverInTheQuery(t *testing.T) { // RS09 rfc9700-4.3.2-01
	url, _ := bare(t)
	for _, c := range []struct {
		name, method, query, body string
		headers                   []string
	}{
		{"in the query", "GET", "?access_token=x", "", nil},
		{"in the query, empty", "GET", "?access_token=", "", nil},
		{"in the query of a POST", "POST", "?access_token=x", "", nil},
		{"in query and body", "POST", "?access_token=x", "access_token=x", nil},
		{"in the body, empty", "POST", "", "access_token=", nil},
		{"in the body twice", "POST", "", "access_token=x&access_token=x", nil},
		{"in header and body", "POST", "", "access_token=x", []string{"Authorization", "Bearer x"}},
		{"in header and query", "GET", "?access_token=x", "", []string{"Authorization", "Bearer x"}},
		{"in two headers", "GET", "", "", []string{"Authorization", "Bearer x", "Authorization", "DPoP x"}},
		{"nowhere, but a scheme", "GET", "", "", []string{"Authorization", "Bearer "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := append([]string{"Content-Type", "application/x-www-form-urlencoded"}, c.headers...)
			a := request(t, c.method, url+"/userinfo"+c.query, c.body, headers...)
			if !a.failed(t, 400, "invalid_request") {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}
