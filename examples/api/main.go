// Command api is an app server: it lets those read todos whose access token is for it and has the scope todos.read.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/countersign/countersign/examples/start"
	"github.com/countersign/countersign/resource"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:4000", "where to listen")
	issuer := flag.String("issuer", "http://localhost:8080", "who issues the access tokens")
	audience := flag.String("audience", "https://api.your.app", "whom they must be for")
	origin := flag.String("origin", "http://127.0.0.1:3002", "of the SPA that calls it from the browser")
	base := flag.String("url", "http://127.0.0.1:4000", "how callers write its address; DPoP proofs name it")
	flag.Parse()
	v, err := resource.New(resource.Config{
		Issuer: *issuer, Audience: *audience, BaseURL: *base,
		Metadata: &resource.Metadata{Scopes: []string{"todos.read"}, Name: "Todos"},
	})
	if err != nil {
		start.Exit(err)
	}
	start.Exit(start.Serve(*addr, handler(v, *origin), os.Stderr, "choose another with -listen and -url, and tell bff and spa with -api"))
}

func handler(v *resource.Verifier, origin string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /todos", v.Middleware("todos.read")(http.HandlerFunc(todos)))
	mux.Handle(v.MetadataPath(), v.MetadataHandler()) // for clients that do not know yet whose tokens this API takes
	return cors(origin, mux)
}

func todos(w http.ResponseWriter, r *http.Request) {
	who, _ := resource.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = fmt.Fprintf(w, `{"for":%q,"todos":["Water the plants"]}`+"\n", who.Subject)
}

// cors lets one origin call from the browser. Never "*" with an Authorization header, and never with cookies.
func cors(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Vary", "Origin")
		if r.Header.Get("Origin") == origin {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Headers", "Authorization, DPoP")
			h.Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
