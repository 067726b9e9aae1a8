package resource_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/resource"
)

// RS02 and the like: a Verifier that would check too little is not made.
func TestNewRefusesWhatWouldCheckTooLittle(t *testing.T) {
	good := resource.Config{Issuer: "https://login.example.com", Audience: audience}
	if _, err := resource.New(good); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*resource.Config){
		"no issuer":                      func(c *resource.Config) { c.Issuer = "" },
		"RS02 no audience":               func(c *resource.Config) { c.Audience = "" },
		"an issuer without a scheme":     func(c *resource.Config) { c.Issuer = "login.example.com" },
		"an issuer over http":            func(c *resource.Config) { c.Issuer = "http://login.example.com" },
		"keys over http":                 func(c *resource.Config) { c.JWKSURL = "http://10.0.0.1/jwks" },
		"keys from a file":               func(c *resource.Config) { c.JWKSURL = "file:///etc/keys" },
		"introspection over http":        func(c *resource.Config) { asking(c); c.IntrospectionURL = "http://login.example.com/introspect" },
		"introspection without secret":   func(c *resource.Config) { asking(c); c.ResourceSecret = "" },
		"a secret without introspection": func(c *resource.Config) { c.ResourceID, c.ResourceSecret = "a", "b" },
		"an audience that is no address": func(c *resource.Config) { c.Audience = "todo-api" },
		"a base with a query":            func(c *resource.Config) { c.BaseURL = "https://api.example.com/?x" },
		"RS05 a leeway over a minute":    func(c *resource.Config) { c.Leeway = 61 * time.Second },
		"a leeway below zero":            func(c *resource.Config) { c.Leeway = -1 },
		"a short nonce key":              func(c *resource.Config) { c.NonceKey = []byte("short") },
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			c := good
			edit(&c)
			if _, err := resource.New(c); err == nil {
				t.Error("accepted")
			}
		})
	}
}
