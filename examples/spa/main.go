// Command spa serves a single-page app that signs people in by itself, without a backend: a public client with PKCE whose
// tokens are bound to a key that script cannot read out (DPoP). All it does is in page/app.js. docs/spa.md says when a
// backend (examples/bff) is the better choice: mostly.
package main

import (
	"embed"
	"encoding/json"
	"flag"
	"io/fs"
	"net/http"
	"os"

	"github.com/countersign/countersign/examples/start"
)

//go:embed page
var page embed.FS

// settings are what the page is told.
type settings struct {
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	API      string `json:"api"`
}

func main() {
	addr := flag.String("listen", "127.0.0.1:3002", "where to listen")
	issuer := flag.String("issuer", "http://localhost:8080", "Countersign")
	api := flag.String("api", "http://127.0.0.1:4000", "the API")
	flag.Parse()
	s := settings{Issuer: *issuer, ClientID: "todo-spa", Scope: "openid profile offline_access todos.read", API: *api}
	start.Exit(start.Serve(*addr, handler(s), os.Stderr, "choose another with -listen, tell the API with -origin, and write it into the addresses of todo-spa in examples/countersign.yaml"))
}

func handler(s settings) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /settings.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// Whatever runs on this page has the person's tokens: so nothing from elsewhere does.
		h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' "+s.Issuer+" "+s.API+
			"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}
