// Package resource is what an app server written in Go imports to accept Countersign's access tokens.
//
//	tokens, err := resource.New(resource.Config{
//		Issuer:   "https://login.example.com",
//		Audience: "https://api.example.com",
//	})
//	...
//	mux.Handle("GET /todos", tokens.Middleware("todos.read")(listTodos))
//
// Behind the middleware FromContext tells who calls:
//
//	token, _ := resource.FromContext(r.Context())
//	todos, err := db.TodosOf(r.Context(), token.Subject)
//
// A request passes only with a token (RFC 9068) that the issuer signed with a key it publishes, for this audience and
// no other, in its time, with all scopes asked for. A token that is bound to a phone's key (RFC 9449) passes only
// with a proof by that key, made for this very request and not seen before. Anything else is answered the way RFC 6750
// and RFC 9449 ask for, with a sentence for the developer of the app.
//
// # Client certificates
//
// A token that is bound to a client certificate (RFC 8705) passes only over a TLS connection on which the client showed
// this very certificate. The app server has to ask for it, and need not know who signed it:
//
//	server.TLSConfig = &tls.Config{ClientAuth: tls.RequestClientCert}
//
// A server that does not ask refuses such tokens, whoever sends them. Verify reads r.TLS and never a header. Behind a
// proxy that ends TLS there is no certificate in the connection: let the proxy pass TLS through, or, where only the proxy
// can reach the app server and it takes the header of its own name away from everybody else's requests, set r.TLS in a
// handler of your own before the middleware.
//
// # What it keeps
//
// The issuer's keys are fetched when first needed and kept as long as the issuer says, with one fetch at a time. While
// the issuer cannot be reached they are used for up to 24 hours: an app server outlives the outage of its sign-in.
// Proofs are remembered as long as they could be played again.
//
// # Several processes
//
// The memory of proofs belongs to one process: an attacker who reads a whole request within its minute could play it
// once at each other process. With RequireNonce, give all processes behind one address the same NonceKey, so that each
// knows the nonces of the others.
//
// # What it cannot know
//
// A token is checked without asking anybody, so one whose session was ended stays good until it expires, ten minutes
// at most unless configured otherwise. Where that is too long, set IntrospectionURL: then every request asks the
// issuer, and the app server works only while the issuer does.
package resource
