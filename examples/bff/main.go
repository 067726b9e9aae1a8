// Command bff is a backend for a single-page app: it signs people in, keeps the tokens, and calls the API for the page.
// The browser holds one cookie that script cannot read, and no token (RFC 10017, the pattern it recommends). docs/spa.md
// goes through it.
package main

import (
	"context"
	"flag"
	"os"

	"github.com/countersign/countersign/examples/start"
)

func main() {
	issuer := flag.String("issuer", "http://localhost:8080", "Countersign")
	addr := flag.String("listen", "127.0.0.1:3001", "where to listen")
	base := flag.String("url", "http://127.0.0.1:3001", "the address people see")
	api := flag.String("api", "http://127.0.0.1:4000", "the API behind /api/")
	secretFile := flag.String("secret-file", "examples/todo-bff.secret", "the client's secret")
	flag.Parse()
	start.Exit(run(*addr, *secretFile, Config{
		Issuer: *issuer, ClientID: "todo-bff", BaseURL: *base, API: *api,
		Scopes: []string{"openid", "profile", "email", "offline_access", "todos.read"},
	}))
}

func run(addr, secretFile string, c Config) (err error) {
	if c.ClientSecret, err = start.Secret(secretFile); err != nil {
		return err
	}
	b, err := New(context.Background(), c)
	if err != nil {
		return start.Explained(err)
	}
	return start.Serve(addr, b.Handler(), os.Stderr, "choose another with -listen and -url, and write it into the addresses of todo-bff in examples/countersign.yaml")
}
