package demo

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/countersign/countersign/resource"
)

// api is the sample app server: what a team writes of its own, with package resource in front of it.
type api struct {
	url      string
	listener net.Listener
	srv      *http.Server
}

// newAPI makes an app server on a free loopback port; serve starts it once the issuer is known.
func newAPI(ctx context.Context) (*api, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &api{url: "http://" + l.Addr().String(), listener: l}, nil
}

// serve checks every request for a token of the issuer that is meant for this server and carries todos.read.
// fresh gives the visitor of /demo/token something to try.
func (a *api) serve(issuer string, fresh http.HandlerFunc) error {
	v, err := resource.New(resource.Config{Issuer: issuer, Audience: a.url, BaseURL: a.url})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /todos", v.Middleware("todos.read")(http.HandlerFunc(todos)))
	mux.HandleFunc("GET /demo/token", fresh)
	a.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = a.srv.Serve(a.listener) }()
	return nil
}

func todos(w http.ResponseWriter, r *http.Request) {
	t, _ := resource.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"for": t.Subject, "todos": []string{"buy milk", "read RFC 9700"}})
}

func (a *api) close() {
	if a.srv != nil {
		_ = a.srv.Close()
	}
	_ = a.listener.Close()
}
