// Command bff is a backend for a single-page app: it signs people in, keeps the tokens, and calls the API for the page.
// The browser holds one cookie that script cannot read, and no token (RFC 10017, the pattern it recommends). docs/spa.md
// goes through it.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	issuer := flag.String("issuer", "http://localhost:8080", "Countersign")
	addr := flag.String("listen", "127.0.0.1:3001", "where to listen")
	base := flag.String("url", "http://127.0.0.1:3001", "the address people see")
	api := flag.String("api", "http://127.0.0.1:4000", "the API behind /api/")
	secretFile := flag.String("secret-file", "examples/todo-bff.secret", "the client's secret")
	flag.Parse()
	secret, err := os.ReadFile(*secretFile)
	if err != nil {
		log.Fatal(err)
	}
	b, err := New(context.Background(), Config{
		Issuer: *issuer, ClientID: "todo-bff", ClientSecret: strings.TrimSpace(string(secret)), BaseURL: *base, API: *api,
		Scopes: []string{"openid", "profile", "email", "offline_access", "todos.read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: *addr, Handler: b.Handler(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
