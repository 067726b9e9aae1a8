package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/adminhttp"
	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/house"
)

// serve puts the admin API of a house on a socket.
func serve(t testing.TB, h *house.House) string {
	t.Helper()
	door := &adminhttp.Door{DB: h.DB, APIKeys: h.APIKeys, Ring: h.Ring, Providers: h.Providers, PerSecond: -1}
	server := httptest.NewServer(httpd.Handler(httpd.Options{}, door.Routes()))
	t.Cleanup(server.Close)
	return server.URL
}

func connect(t testing.TB, h *house.House, url string, scopes ...string) *client.Client {
	t.Helper()
	text, _, err := h.APIKeys.Mint(t.Context(), "test", scopes, domain.Event{Actor: "system"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(url, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAccounts(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ctx := t.Context()
		c := connect(t, h, serve(t, h), apikey.Scopes()...)
		names := map[string]bool{}
		for _, sub := range []string{"ada", "bob", "carol"} {
			in := h.Enter(t, h.Request(t, h.Google, house.GoogleToken(sub), house.Todo, ""))
			names[in.Session.AccountID.String()] = true
		}

		t.Run("are found by identity, in any spelling of the issuer", func(t *testing.T) {
			for _, iss := range []string{standin.GoogleIssuer, "accounts.google.com"} {
				a, err := c.AccountByIdentity(ctx, iss, "ada")
				if err != nil {
					t.Fatal(err)
				}
				if !names[a.ID] || a.State != "active" || len(a.Identities) != 1 || a.Identities[0].Subject != "ada" ||
					a.Identities[0].Issuer != standin.GoogleIssuer || a.Identities[0].Email != "ada@gmail.com" || a.CreatedAt.IsZero() {
					t.Errorf("%+v", a)
				}
			}
			for _, sub := range []string{"Ada", "nobody"} {
				if _, err := c.AccountByIdentity(ctx, standin.GoogleIssuer, sub); !client.IsNotFound(err) {
					t.Errorf("%s: %v", sub, err)
				}
			}
		})
		t.Run("are listed page by page", func(t *testing.T) {
			page, err := c.Accounts(ctx, client.Page{Limit: 2})
			if err != nil || len(page.Accounts) != 2 || page.Next == "" {
				t.Fatalf("%+v, %v", page, err)
			}
			rest, err := c.Accounts(ctx, client.Page{After: page.Next, Limit: 2})
			if err != nil || len(rest.Accounts) != 1 || rest.Next != "" {
				t.Fatalf("%+v, %v", rest, err)
			}
			seen := 0
			for a, err := range c.AllAccounts(ctx) {
				if err != nil || !names[a.ID] {
					t.Fatalf("%+v, %v", a, err)
				}
				seen++
			}
			if seen != len(names) {
				t.Errorf("saw %d", seen)
			}
		})
		t.Run("are disabled and enabled", func(t *testing.T) {
			a, err := c.AccountByIdentity(ctx, standin.GoogleIssuer, "bob")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // twice is no error
				if a, err = c.DisableAccount(ctx, a.ID); err != nil || a.State != "disabled" {
					t.Fatalf("%+v, %v", a, err)
				}
			}
			if _, err := h.SignIn.Native(ctx, h.Request(t, h.Google, house.GoogleToken("bob"), house.Todo, "")); err == nil {
				t.Error("a disabled account signs in")
			}
			if a, err = c.EnableAccount(ctx, a.ID); err != nil || a.State != "active" {
				t.Fatalf("%+v, %v", a, err)
			}
			events, err := c.Events(ctx, client.EventFilter{AccountID: a.ID, Limit: 200})
			if err != nil {
				t.Fatal(err)
			}
			count := map[string]int{}
			for _, e := range events {
				count[e.Action]++
				if strings.HasPrefix(e.Action, "account.") && e.Action != "account.create" &&
					(!strings.HasPrefix(e.Actor, "api-key key_") || e.RequestID == "" || e.AccountID != a.ID || e.At.IsZero()) {
					t.Errorf("%+v", e)
				}
			}
			if count["account.disable"] != 1 || count["account.enable"] != 1 {
				t.Errorf("audit rows %v", count)
			}
		})
		if _, err := c.Account(ctx, "acc_x"); !client.IsNotFound(err) {
			t.Errorf("an account that is not there: %v", err)
		}
	})
}

func TestSessions(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ctx := t.Context()
		c := connect(t, h, serve(t, h), apikey.SessionsRead, apikey.SessionsWrite)
		var ids []string
		var account string
		for range 3 {
			in := h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, h.Phone(t).JKT()))
			ids, account = append(ids, in.Session.ID.String()), in.Session.AccountID.String()
		}
		one, err := c.Session(ctx, ids[0])
		if err != nil || !one.Live || one.State != "live" || one.Tier != "bound" || one.AccountID != account ||
			one.ClientID != house.Todo || one.DeviceName != "Ada's phone" || !one.EndedAt.IsZero() || !one.AbsoluteExpiresAt.IsZero() ||
			one.IdleExpiresAt.Before(one.CreatedAt) || !strings.Contains(one.Scope, "openid") || len(one.Resources) != 1 {
			t.Fatalf("%+v, %v", one, err)
		}
		for range 2 { // twice is no error
			if err := c.EndSession(ctx, ids[0]); err != nil {
				t.Fatal(err)
			}
		}
		one, err = c.Session(ctx, ids[0])
		if err != nil || one.Live || one.State != "ended" || one.EndReason != "admin" || one.EndedAt.IsZero() {
			t.Errorf("%+v, %v", one, err)
		}
		list, err := c.AccountSessions(ctx, account, false)
		if err != nil || len(list) != 2 {
			t.Errorf("%d live, %v", len(list), err)
		}
		if n, err := c.EndAccountSessions(ctx, account); err != nil || n != 2 {
			t.Errorf("ended %d, %v", n, err)
		}
		list, err = c.AccountSessions(ctx, account, true)
		if err != nil || len(list) != 3 {
			t.Errorf("%d in all, %v", len(list), err)
		}
		if _, err := c.Session(ctx, "ses_x"); !client.IsNotFound(err) {
			t.Errorf("a session that is not there: %v", err)
		}
	})
}

func TestKeysAndClients(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ctx := t.Context()
		c := connect(t, h, serve(t, h), apikey.KeysRead, apikey.KeysWrite, apikey.ClientsWrite)
		before, err := c.Keys(ctx)
		if err != nil || len(before) != 3 {
			t.Fatalf("%+v, %v; want ES256, RS256 and a data key", before, err)
		}
		for _, k := range before {
			if k.State != "active" || (k.Use == "sign") != (k.Kid != "") || k.CreatedAt.IsZero() || !k.DroppedAt.IsZero() {
				t.Errorf("%+v", k)
			}
		}
		after, err := c.RotateKeys(ctx, false)
		if err != nil || len(after) != 6 {
			t.Fatalf("%+v, %v", after, err)
		}
		next := 0
		for _, k := range after {
			if k.State == "next" {
				next++
			}
		}
		if next != 3 {
			t.Errorf("%d keys wait for their turn: %+v", next, after)
		}
		kid := h.Ring.PublicKeys()[0].Kid
		if err := c.DropKey(ctx, kid); err != nil {
			t.Fatal(err)
		}
		for _, k := range h.Ring.PublicKeys() {
			if k.Kid == kid {
				t.Error("the dropped key is still published")
			}
		}
		if err := c.DropKey(ctx, "nothing"); !client.IsNotFound(err) {
			t.Errorf("a key that is not there: %v", err)
		}

		if err := c.DisableClient(ctx, house.Todo); err != nil {
			t.Fatal(err)
		}
		if _, err := h.SignIn.Native(ctx, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")); err == nil {
			t.Error("a disabled client signs in")
		}
		if err := c.EnableClient(ctx, house.Todo); err != nil {
			t.Fatal(err)
		}
		h.Enter(t, h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, ""))
		if err := c.DisableClient(ctx, "nothing/at all"); !client.IsNotFound(err) {
			t.Errorf("a client that is not there: %v", err)
		}
	})
}

func TestErrors(t *testing.T) {
	h := house.OnSQLite(t)
	url := serve(t, h)
	c := connect(t, h, url, apikey.KeysRead)
	_, err := c.Accounts(t.Context(), client.Page{})
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 403 || e.Code != "insufficient_scope" || e.Detail == "" || e.RequestID == "" || e.Temporary() {
		t.Errorf("%+v", err)
	}
	if !strings.Contains(err.Error(), "accounts.read") || !strings.Contains(err.Error(), e.RequestID) {
		t.Errorf("the text does not help: %v", err)
	}
	stranger, err := client.New(url, "cs_sk_nothing")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stranger.Keys(t.Context()); !errors.As(err, &e) || e.Status != 401 || e.Code != "invalid_token" {
		t.Errorf("%+v", err)
	}
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Keys(t.Context()); !errors.As(err, &e) || e.Status != 503 || !e.Temporary() || e.RetryAfter != time.Second {
		t.Errorf("%+v", err)
	}
}

// Whoever asks the public listener for accounts hears where the admin API is, and not that an account is unknown.
func TestAWrongListenerIsToldFromAnUnknownAccount(t *testing.T) {
	h := house.OnSQLite(t)
	public := httptest.NewServer(httpd.Handler(httpd.Options{}, nil))
	t.Cleanup(public.Close)
	const hint = "this looks like the public listener; the base URL (--server) is the address of admin.listen"
	if _, err := connect(t, h, public.URL, apikey.Scopes()...).Accounts(t.Context(), client.Page{}); err == nil || !strings.Contains(err.Error(), hint) {
		t.Errorf("the public listener: %v", err)
	}
	if _, err := connect(t, h, serve(t, h), apikey.Scopes()...).Account(t.Context(), "acc_nobody"); !client.IsNotFound(err) || strings.Contains(err.Error(), hint) {
		t.Errorf("an unknown account: %v", err)
	}
}

// An API key goes to the server it is meant for and to no other.
func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	c, err := client.New(server.URL, "cs_sk_x", client.WithHTTPClient(&http.Client{}))
	if err != nil {
		t.Fatal(err)
	}
	var e *client.Error
	if _, err := c.Keys(t.Context()); !errors.As(err, &e) || e.Status != 307 || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, tt := range []struct{ url, key string }{
		{"", "cs_sk_x"}, {"127.0.0.1:8081", "cs_sk_x"}, {"ftp://x", "cs_sk_x"}, {"http://x?y=1", "cs_sk_x"}, {"http://u:p@x", "cs_sk_x"},
		{"http://x", ""}, {"http://x", "cs_sk_x\n"},
	} {
		if _, err := client.New(tt.url, tt.key); err == nil {
			t.Errorf("accepted %q, %q", tt.url, tt.key)
		}
	}
}
