package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/countersign/countersign/client"
)

// A person asks your support to lock them out everywhere: their phone was stolen.
func Example() {
	server := httptest.NewServer(todo) // your private listener: http://127.0.0.1:8081
	defer server.Close()

	c, err := client.New(server.URL, "cs_sk_...")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	account, err := c.AccountByIdentity(ctx, "https://accounts.google.com", "110169484474386276334")
	switch {
	case client.IsNotFound(err):
		fmt.Println("nobody signs in with this")
		return
	case err != nil:
		fmt.Println(err)
		return
	}
	ended, err := c.EndAccountSessions(ctx, account.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %d sessions ended\n", account.Identities[0].Email, ended)
	// Output: ada@example.com: 2 sessions ended
}

// An app server that is told of something suspicious disables the account and asks what happened.
func ExampleClient_Events() {
	server := httptest.NewServer(todo)
	defer server.Close()

	c, err := client.New(server.URL, "cs_sk_...")
	if err != nil {
		fmt.Println(err)
		return
	}
	events, err := c.Events(context.Background(), client.EventFilter{AccountID: "acc_AAAAAAAAAAAAAAAAAAAAAQ", Limit: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		fmt.Println(e.Action, e.Reason)
	}
	// Output:
	// session.end reuse
	// session.start
}

// todo is the admin API of a server with one account, in its own words.
var todo = answers{
	"GET /admin/v1/accounts": `{"accounts":[{"id":"acc_AAAAAAAAAAAAAAAAAAAAAQ","state":"active","created_at":"2026-11-21T10:00:00Z"}]}`,
	"GET /admin/v1/accounts/acc_AAAAAAAAAAAAAAAAAAAAAQ": `{"id":"acc_AAAAAAAAAAAAAAAAAAAAAQ","state":"active",
		"created_at":"2026-11-21T10:00:00Z","identities":[{"id":"idn_AAAAAAAAAAAAAAAAAAAAAQ","provider":"google",
		"iss":"https://accounts.google.com","sub":"110169484474386276334","email":"ada@example.com","email_verified":true,
		"created_at":"2026-11-21T10:00:00Z","last_used_at":"2026-11-21T10:00:00Z"}]}`,
	"DELETE /admin/v1/accounts/acc_AAAAAAAAAAAAAAAAAAAAAQ/sessions": `{"ended":2}`,
	"GET /admin/v1/events": `{"events":[{"at":"2026-11-21T10:05:00Z","action":"session.end","actor":"system","reason":"reuse"},
		{"at":"2026-11-21T10:00:00Z","action":"session.start","actor":"account acc_AAAAAAAAAAAAAAAAAAAAAQ"}]}`,
}

type answers map[string]string

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprint(w, a[r.Method+" "+r.URL.Path])
}
