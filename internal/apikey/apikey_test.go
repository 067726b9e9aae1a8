package apikey_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/house"
)

func TestAPIKeyFromMintToRevoke(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		text, made, err := h.APIKeys.Mint(t.Context(), "todo backend",
			[]string{apikey.SessionsWrite, apikey.AccountsRead, apikey.SessionsWrite}, domain.Event{Actor: "system"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.APIKeys.Check(t.Context(), string(text))
		if err != nil || got.ID != made.ID || got.Name != "todo backend" ||
			!slices.Equal(got.Scopes, []string{apikey.AccountsRead, apikey.SessionsWrite}) {
			t.Fatalf("%+v, %v", got, err)
		}
		t.Run("its use is noted to the minute", func(t *testing.T) {
			first := lastUsed(t, h, made.ID)
			if first.IsZero() {
				t.Fatal("not noted")
			}
			h.Clock.Step(10 * time.Second)
			_, _ = h.APIKeys.Check(t.Context(), string(text))
			if again := lastUsed(t, h, made.ID); !again.Equal(first) {
				t.Errorf("noted again after %v", again.Sub(first))
			}
			h.Clock.Step(time.Minute)
			_, _ = h.APIKeys.Check(t.Context(), string(text))
			if again := lastUsed(t, h, made.ID); !again.After(first) {
				t.Error("not noted after a minute")
			}
		})
		t.Run("it outlives its data key's turn", func(t *testing.T) {
			if err := h.Ring.Rotate(t.Context(), true, domain.Event{}); err != nil {
				t.Fatal(err)
			}
			h.Clock.Step(2 * time.Minute)
			if _, err := h.APIKeys.Check(t.Context(), string(text)); err != nil {
				t.Error(err)
			}
		})
		t.Run("revoked it is refused, and so is every key that is not ours", func(t *testing.T) {
			if err := h.APIKeys.Revoke(t.Context(), made.ID, domain.Event{Actor: "system"}); err != nil {
				t.Fatal(err)
			}
			for name, bad := range map[string]string{
				"revoked":         string(text),
				"empty":           "",
				"no key":          "cs_sk_hello",
				"of another ring": foreign(t),
			} {
				_, err := h.APIKeys.Check(t.Context(), bad)
				e := oauth.AsError(err)
				if e.Code != oauth.InvalidToken {
					t.Errorf("%s: %v", name, err)
				}
				if _, same := h.APIKeys.Check(t.Context(), "x"); oauth.AsError(same).Description != e.Description {
					t.Errorf("%s is told apart: %s", name, e.Description)
				}
			}
			if err := h.APIKeys.Revoke(t.Context(), domain.APIKeyID{1}, domain.Event{}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("revoke what is not there: %v", err)
			}
		})
		events, err := h.DB.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range []string{"api_key.create", "api_key.revoke"} {
			if !slices.ContainsFunc(events, func(e domain.Event) bool { return e.Action == action && e.Actor == "system" }) {
				t.Errorf("no audit row %s", action)
			}
		}
	})
}

// foreign is a key with a good form and checksum that another deployment made.
func foreign(t *testing.T) string {
	t.Helper()
	h := house.OnSQLite(t)
	text, _, err := h.APIKeys.Mint(t.Context(), "foreign", []string{apikey.AccountsRead}, domain.Event{})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDatabaseFaultIsNoVerdict(t *testing.T) {
	h := house.OnSQLite(t)
	text, _, err := h.APIKeys.Mint(t.Context(), "x", []string{apikey.AccountsRead}, domain.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.DB.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = h.APIKeys.Check(t.Context(), string(text))
	if e := oauth.AsError(err); e.Code != oauth.TemporarilyUnavailable {
		t.Errorf("got %v", err)
	}
}

func lastUsed(t *testing.T, h *house.House, id domain.APIKeyID) time.Time {
	t.Helper()
	all, err := h.APIKeys.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.ID == id {
			return k.LastUsedAt
		}
	}
	t.Fatal("the key is not listed")
	return time.Time{}
}
