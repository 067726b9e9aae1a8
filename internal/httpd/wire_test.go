package httpd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/httpd"
)

// events is a log the test reads back.
type events struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.buf.Write(p)
}

func (e *events) all(t *testing.T) []map[string]any {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []map[string]any
	d := json.NewDecoder(bytes.NewReader(e.buf.Bytes()))
	for {
		var one map[string]any
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

// table is a door that has one of everything.
func table() []httpd.Route {
	echo := func(w http.ResponseWriter, r *http.Request) {
		form, err := httpd.DecodeForm(r, "many")
		if err != nil {
			httpd.OAuthError(w, r, err, false)
			return
		}
		event.Add(r.Context(), "echoed", true)
		httpd.WriteJSON(w, r, http.StatusOK, map[string]any{"a": form.Get("a"), "many": form.All("many")})
	}
	return []httpd.Route{
		{Method: "POST", Path: "/form", Handler: echo, CORS: true, DPoP: true},
		{Method: "GET", Path: "/thing/{id}", Handler: func(w http.ResponseWriter, r *http.Request) {
			httpd.WriteJSON(w, r, http.StatusOK, r.PathValue("id"))
		}},
		{Method: "DELETE", Path: "/thing/{id}", Handler: func(w http.ResponseWriter, r *http.Request) {
			httpd.Problem(w, r, http.StatusConflict, "", "It is the last one", "Keep it.")
		}},
		{Method: "GET", Path: "/panic", Handler: func(http.ResponseWriter, *http.Request) { panic("secret of the house") }},
		{Method: "GET", Path: "/late-panic", Handler: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 8<<10))
			panic("too late")
		}},
		{Method: "GET", Path: "/abort", Handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{Method: "GET", Path: "/slow", Handler: func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			httpd.OAuthError(w, r, r.Context().Err(), false)
		}},
		{Method: "GET", Path: "/broken", Handler: func(w http.ResponseWriter, r *http.Request) {
			httpd.OAuthError(w, r, errors.New("pq: relation sessions does not exist"), false)
		}},
		{Method: "GET", Path: "/cached", Handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=300")
			w.WriteHeader(http.StatusNoContent)
		}},
		{Method: "GET", Path: "/who", Handler: func(w http.ResponseWriter, r *http.Request) {
			httpd.WriteJSON(w, r, http.StatusOK, map[string]string{
				"key": httpd.LimitKey(r), "ip": event.From(r.Context()).IP,
			})
		}},
		{Method: "GET", Path: "/silent", Handler: func(http.ResponseWriter, *http.Request) {}},
		{Method: "GET", Path: "/alarm", Handler: func(_ http.ResponseWriter, r *http.Request) {
			event.Add(r.Context(), "alarm", "refresh.counter_ahead")
		}},
	}
}

// serve starts the table on a socket.
func serve(t *testing.T, o httpd.Options) (*httptest.Server, *events) {
	t.Helper()
	log := &events{}
	if o.Log == nil {
		o.Log = slog.New(slog.NewJSONHandler(log, nil))
	}
	srv := httptest.NewServer(httpd.Handler(o, table()))
	t.Cleanup(srv.Close)
	return srv, log
}

type answer struct {
	*http.Response
	body string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("not JSON: %q", a.body)
	}
	return m
}

func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	return send(t, req)
}

func send(t *testing.T, req *http.Request) answer {
	t.Helper()
	// No cookie jar, no following of redirects: what is on the wire is what is judged.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(b)}
}

const formType = "application/x-www-form-urlencoded"
