package resource_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/countersign/countersign/resource"
)

// An app server with one endpoint that needs the scope todos.read. The issuer is your Countersign server; here a small
// one with a key of its own stands in for it.
func Example_middleware() {
	issuer := openIssuer(newClock())
	defer issuer.Close()

	tokens, err := resource.New(resource.Config{
		Issuer:   issuer.URL,
		Audience: "https://api.example.com",
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /todos", tokens.Middleware("todos.read")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			token, _ := resource.FromContext(r.Context())
			_, _ = fmt.Fprintf(w, "the todos of %s", token.Subject)
		})))
	api := httptest.NewServer(mux)
	defer api.Close()

	call := func(authorization string) {
		req, _ := http.NewRequest(http.MethodGet, api.URL+"/todos", nil)
		req.Header.Set("Authorization", authorization)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		fmt.Println(strings.TrimSpace(resp.Status + "\n" + resp.Header.Get("WWW-Authenticate")))
	}
	call("Bearer " + issuer.token(nil))
	call("Bearer forged")
	// Output:
	// 200 OK
	// 401 Unauthorized
	// Bearer realm="https://api.example.com", error="invalid_token", error_description="The access token is expired, malformed or not meant for this API. Get a new one with your refresh token."
}

// Where the needed scope depends on the request, call Verify from the handler.
func ExampleVerifier_Verify() {
	issuer := openIssuer(newClock())
	defer issuer.Close()
	tokens, err := resource.New(resource.Config{Issuer: issuer.URL, Audience: "https://api.example.com"})
	if err != nil {
		panic(err)
	}

	handler := func(w http.ResponseWriter, r *http.Request) {
		scope := "todos.read"
		if r.Method != http.MethodGet {
			scope = "todos.write"
		}
		token, err := tokens.Verify(r.Context(), r, scope)
		if err != nil {
			tokens.WriteError(w, err)
			return
		}
		_, _ = fmt.Fprintf(w, "hello %s", token.ClientID)
	}

	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/todos", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.token(nil))
		handler(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 hello com.example.todo
	// 403 {"error":"insufficient_scope","error_description":"The access token lacks a scope this request needs. Ask for it when you sign in."}
}
