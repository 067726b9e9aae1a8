package client_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/house"
)

func TestRegistrationTokens(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ctx := t.Context()
		c := connect(t, h, serve(t, h), apikey.ClientsRead, apikey.ClientsWrite)
		made, err := c.CreateRegistrationToken(ctx, "partners", 2, 24*time.Hour)
		if err != nil || made.Token == "" || made.UsesLeft != 2 || !made.Live || made.ExpiresAt.Sub(made.CreatedAt) != 24*time.Hour {
			t.Fatalf("%+v, %v", made, err)
		}
		hash, ok := apikey.RegistrationHash(made.Token)
		if !ok {
			t.Fatal("not a token of ours")
		}
		for use := range 2 {
			ok, err := h.DB.AddRegistration(ctx, store.NewRegistration{
				Initial: hash, Registration: store.Registration{Metadata: "{}", Client: domain.Client{ID: fmt.Sprint("app-", use), Registered: domain.RegisteredByToken, RegisteredAt: h.DB.Now()}},
			})
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		list, err := c.RegistrationTokens(ctx)
		if err != nil || len(list) != 1 || list[0].ID != made.ID || list[0].Live || list[0].UsesLeft != 0 || list[0].Token != "" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := c.DeleteRegistrationToken(ctx, made.ID); err != nil {
			t.Error(err)
		}
		if err := c.DeleteRegistrationToken(ctx, made.ID); !client.IsNotFound(err) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := c.CreateRegistrationToken(ctx, "half", 1, 1500*time.Millisecond); err == nil {
			t.Error("half a second was rounded")
		}
	})
}

func TestRegisteredClients(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ctx := t.Context()
		c := connect(t, h, serve(t, h), apikey.ClientsRead, apikey.ClientsWrite)
		for i := range 3 {
			row := store.NewRegistration{Registration: store.Registration{Metadata: "{}", Client: domain.Client{
				ID: fmt.Sprintf("https://app.example/%d", i), Name: "App", Type: domain.ClientWeb, Registered: domain.RegisteredByDocument,
				RegisteredAt: h.DB.Now(), RedirectURIs: []string{"https://app.example/cb"},
			}}}
			if _, err := h.DB.AddRegistration(ctx, row); err != nil {
				t.Fatal(err)
			}
		}
		page, err := c.RegisteredClients(ctx, client.Page{Limit: 2})
		if err != nil || len(page.Clients) != 2 || page.Next == "" {
			t.Fatalf("%+v, %v", page, err)
		}
		page, err = c.RegisteredClients(ctx, client.Page{After: page.Next, Limit: 2})
		if err != nil || len(page.Clients) != 1 || page.Next != "" {
			t.Fatalf("%+v, %v", page, err)
		}
		id := page.Clients[0].ID
		one, err := c.RegisteredClient(ctx, id)
		if err != nil || one.ID != id || one.RegisteredBy != "document" || !one.Unverified || one.State != "live" || len(one.RedirectURIs) != 1 || !one.LastUsedAt.IsZero() {
			t.Errorf("%+v, %v", one, err)
		}
		if err := c.DisableClient(ctx, id); err != nil {
			t.Fatal(err)
		}
		if one, err = c.RegisteredClient(ctx, id); err != nil || one.State != "disabled" {
			t.Errorf("%+v, %v", one, err)
		}
		if err := c.DeleteRegisteredClient(ctx, id); err != nil {
			t.Fatal(err)
		}
		if _, err := c.RegisteredClient(ctx, id); !client.IsNotFound(err) {
			t.Errorf("a client that was deleted: %v", err)
		}
	})
}
