package httpd_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
)

func TestEveryAnswerCarriesTheHeadersOfTheHouse(t *testing.T) {
	srv, _ := serve(t, httpd.Options{})
	for _, path := range []string{"/thing/1", "/nowhere", "/panic", "/broken", "/silent", "/form"} {
		a := do(t, "GET", srv.URL+path, "")
		for name, want := range map[string]string{
			"Cache-Control":           "no-store", // TK16
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", // AZ34
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		if len(a.Header.Get("X-Request-Id")) < 16 {
			t.Errorf("%s: X-Request-Id = %q", path, a.Header.Get("X-Request-Id"))
		}
	}
	if got := do(t, "GET", srv.URL+"/cached", "").Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("a route that sets its own Cache-Control keeps it, got %q", got)
	}
}

func TestRequestIDsAreOursAndDiffer(t *testing.T) {
	srv, _ := serve(t, httpd.Options{})
	first := do(t, "GET", srv.URL+"/silent", "", "X-Request-Id", "mine").Header.Get("X-Request-Id")
	second := do(t, "GET", srv.URL+"/silent", "").Header.Get("X-Request-Id")
	if first == "mine" || first == second {
		t.Errorf("ids %q and %q", first, second)
	}
}

func TestPathsAndMethodsOutsideTheTableAreRefused(t *testing.T) {
	srv, _ := serve(t, httpd.Options{Origin: func(string) bool { return false }})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/nowhere", 404, ""},
		{"GET", "/", 404, ""},
		{"GET", "/thing", 404, ""},
		{"GET", "/form/", 404, ""},
		{"POST", "/form;x", 404, ""}, // AD06
		{"POST", "//form", 404, ""},
		{"POST", "/x/%2e%2e/form", 404, ""},
		{"POST", "/./form", 404, ""},
		{"GET", "/form", 405, "POST, OPTIONS"}, // TK01
		{"PUT", "/form", 405, "POST, OPTIONS"},
		{"HEAD", "/form", 405, "POST, OPTIONS"},
		{"POST", "/thing/1", 405, "GET, HEAD, DELETE"},
		{"OPTIONS", "/thing/1", 405, "GET, HEAD, DELETE"},
		{"TRACE", "/thing/1", 405, "GET, HEAD, DELETE"},
		{"HEAD", "/thing/1", 200, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			a := do(t, c.method, srv.URL+c.path, "")
			if a.StatusCode != c.status || a.Header.Get("Allow") != c.allow {
				t.Errorf("status %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
			}
			if c.status != 200 && c.method != "HEAD" && a.json(t)["error"] != "invalid_request" {
				t.Errorf("body %s", a.body)
			}
		})
	}
}

func TestAPanicIsAnAnswerWithoutItsCause(t *testing.T) { // KL05
	srv, log := serve(t, httpd.Options{})
	a := do(t, "GET", srv.URL+"/panic", "")
	id := a.Header.Get("X-Request-Id")
	if a.StatusCode != 500 || a.json(t)["error"] != "server_error" || a.json(t)["request_id"] != id {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if strings.Contains(a.body, "secret of the house") || strings.Contains(a.body, "goroutine") {
		t.Errorf("the cause is in the answer: %s", a.body)
	}
	e := log.all(t)
	if len(e) != 1 || e[0]["panic"] != "secret of the house" || !strings.Contains(e[0]["stack"].(string), "goroutine") ||
		e[0]["request_id"] != id || e[0]["level"] != "ERROR" {
		t.Errorf("event %v", e)
	}
}

func TestAPanicAfterTheFirstByteCutsTheConnection(t *testing.T) {
	srv, log := serve(t, httpd.Options{})
	for _, path := range []string{"/late-panic", "/abort"} {
		req, _ := http.NewRequestWithContext(context.Background(), "GET", srv.URL+path, nil)
		resp, err := srv.Client().Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer looks whole", path)
		}
	}
	if n := len(log.all(t)); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestAnUnknownErrorIsServerErrorWithTheRequestID(t *testing.T) { // KL05
	srv, log := serve(t, httpd.Options{})
	a := do(t, "GET", srv.URL+"/broken", "")
	if a.StatusCode != 500 || a.json(t)["request_id"] != a.Header.Get("X-Request-Id") || strings.Contains(a.body, "relation") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if e := log.all(t); e[0]["cause"] != "pq: relation sessions does not exist" {
		t.Errorf("the cause is missing in the event: %v", e)
	}
}

func TestADeadlineIs503(t *testing.T) { // TK14
	srv, _ := serve(t, httpd.Options{Deadline: time.Millisecond})
	a := do(t, "GET", srv.URL+"/slow", "")
	if a.StatusCode != 503 || a.json(t)["error"] != "temporarily_unavailable" || a.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
}

func TestBodiesOverTheCapAre413(t *testing.T) { // DS01
	srv, _ := serve(t, httpd.Options{})
	big := "a=" + strings.Repeat("x", 64<<10)
	declared := do(t, "POST", srv.URL+"/form", big, "Content-Type", formType)
	req, _ := http.NewRequestWithContext(context.Background(), "POST", srv.URL+"/form", io.MultiReader(strings.NewReader(big)))
	req.Header.Set("Content-Type", formType)
	chunked := send(t, req)
	for name, a := range map[string]answer{"declared": declared, "chunked": chunked} {
		if a.StatusCode != 413 || a.json(t)["error"] != "invalid_request" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	fits := do(t, "POST", srv.URL+"/form", big[:64<<10], "Content-Type", formType)
	if fits.StatusCode != 200 {
		t.Errorf("a body of exactly the cap: %d", fits.StatusCode)
	}
}

// DS: bodies are read before their requests are counted, so their memory has a bound of its own. Small ones are under it.
func TestBodiesTogetherAreBounded(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(httpd.Handler(httpd.Options{BodyRoom: 16 << 10}, []httpd.Route{
		{Method: "POST", Path: "/hold", Handler: func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-release
		}},
		{Method: "POST", Path: "/length", Handler: func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			httpd.WriteJSON(w, r, http.StatusOK, len(b))
		}},
	}))
	defer srv.Close()
	var wg sync.WaitGroup
	wg.Go(func() { do(t, "POST", srv.URL+"/hold", strings.Repeat("x", 20<<10)) })
	<-entered

	refused := do(t, "POST", srv.URL+"/length", strings.Repeat("x", 20<<10))
	if refused.StatusCode != 503 || refused.json(t)["error"] != "temporarily_unavailable" || refused.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", refused.StatusCode, refused.body)
	}
	if a := do(t, "POST", srv.URL+"/length", strings.Repeat("x", 8<<10)); a.StatusCode != 200 || a.body != "8192" {
		t.Errorf("a small body: %d %s", a.StatusCode, a.body)
	}
	close(release)
	wg.Wait()
	for range 3 {
		if a := do(t, "POST", srv.URL+"/length", strings.Repeat("x", 20<<10)); a.StatusCode != 200 || a.body != "20480" {
			t.Errorf("after the first one was answered: %d %s", a.StatusCode, a.body)
		}
	}
}

// DESIGN section 7: an API that writes problem+json gets it from the middleware too.
func TestErrorsOfTheMiddlewareLookLikeThoseOfTheAPI(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	routes := []httpd.Route{
		{Method: "GET", Path: "/api/v1/panic", Handler: func(http.ResponseWriter, *http.Request) { panic("a defect") }},
		{Method: "POST", Path: "/api/v1", Handler: func(http.ResponseWriter, *http.Request) {}},
		{Method: "POST", Path: "/token", Handler: func(http.ResponseWriter, *http.Request) {}},
		{Method: "GET", Path: "/api/v1/hold", Handler: func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-release
		}},
	}
	srv := httptest.NewServer(httpd.Handler(httpd.Options{Problems: []string{"/api/v1"}, MaxBody: 10, InFlight: 1}, routes))
	defer srv.Close()
	check := func(name string, a answer, status int, mediaType string) {
		t.Helper()
		if got := a.Header.Get("Content-Type"); a.StatusCode != status || got != mediaType {
			t.Errorf("%s: %d %s, want %d %s", name, a.StatusCode, got, status, mediaType)
		}
		if said := a.json(t)["status"]; (said == float64(status)) != (mediaType == "application/problem+json") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	const problem, plain = "application/problem+json", "application/json"
	check("404", do(t, "GET", srv.URL+"/api/v1/nowhere", ""), 404, problem)
	check("404 of another spelling", do(t, "GET", srv.URL+"/api/v1//panic", ""), 404, problem)
	check("405", do(t, "GET", srv.URL+"/api/v1", ""), 405, problem)
	check("413", do(t, "POST", srv.URL+"/api/v1", "more than ten bytes"), 413, problem)
	check("500", do(t, "GET", srv.URL+"/api/v1/panic", ""), 500, problem)
	check("404 elsewhere", do(t, "GET", srv.URL+"/api/v11", ""), 404, plain)
	check("405 elsewhere", do(t, "GET", srv.URL+"/token", ""), 405, plain)

	var wg sync.WaitGroup
	wg.Go(func() { do(t, "GET", srv.URL+"/api/v1/hold", "") })
	<-entered
	check("503", do(t, "POST", srv.URL+"/api/v1", ""), 503, problem)
	check("503 elsewhere", do(t, "POST", srv.URL+"/token", ""), 503, plain)
	close(release)
	wg.Wait()
}

func TestBeyondTheInFlightCapRequestsWaitShortlyThen503(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(httpd.Handler(httpd.Options{InFlight: 1}, []httpd.Route{
		{Method: "GET", Path: "/", Handler: func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			httpd.WriteJSON(w, r, http.StatusOK, "done")
		}},
	}))
	defer srv.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { do(t, "GET", srv.URL+"/", "") })
	<-entered

	refused := do(t, "GET", srv.URL+"/", "")
	if refused.StatusCode != 503 || refused.json(t)["error"] != string(oauth.TemporarilyUnavailable) || refused.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", refused.StatusCode, refused.body)
	}
	release <- struct{}{}
	wg.Go(func() {
		if a := do(t, "GET", srv.URL+"/", ""); a.StatusCode != 200 {
			t.Errorf("after the first one left: %d", a.StatusCode)
		}
	})
	<-entered
	release <- struct{}{}
}

func TestTwoRoutesForOneMethodAndPathAreAProgrammersMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	httpd.Handler(httpd.Options{}, table(), table())
}
