package apikey_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/house"
)

func TestAnInitialAccessTokenIsStoredAsItsHashAlone(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		text, made, err := h.APIKeys.MintRegistration(t.Context(), "partners", 2, time.Hour, domain.Event{Actor: "system"})
		if err != nil {
			t.Fatal(err)
		}
		hash, ok := apikey.RegistrationHash(string(text))
		if !ok || hash != sha256.Sum256([]byte(text)) || !strings.HasPrefix(string(text), "cs_irt_") {
			t.Fatalf("%q has no hash", text)
		}
		if shown := text.LogValue(); !shown.Equal(slog.StringValue("cs_irt_…")) {
			t.Errorf("a log shows %v", shown)
		}
		for use := range 3 {
			ok, err := h.DB.AddRegistration(t.Context(), store.NewRegistration{
				Initial: hash, Registration: store.Registration{Metadata: "{}", Client: domain.Client{ID: fmt.Sprint("app-", use), Registered: domain.RegisteredByToken, RegisteredAt: h.DB.Now()}},
			})
			if err != nil || ok != (use < 2) {
				t.Errorf("use %d: %t, %v", use, ok, err)
			}
		}
		list, err := h.DB.RegistrationTokens(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != made.ID || list[0].UsesLeft != 0 || list[0].Name != "partners" ||
			list[0].ExpiresAt.Sub(list[0].CreatedAt) != time.Hour {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestAnInitialAccessTokenHasBounds(t *testing.T) {
	h := house.OnSQLite(t)
	for name, try := range map[string]struct {
		name string
		uses int
		life time.Duration
	}{
		"no name":               {"", 1, time.Hour},
		"a name with a newline": {"a\nb", 1, time.Hour},
		"a long name":           {strings.Repeat("x", 101), 1, time.Hour},
		"no uses":               {"x", 0, time.Hour},
		"fewer than none":       {"x", -1, time.Hour},
		"too many uses":         {"x", 10_001, time.Hour},
		"no life":               {"x", 1, 0},
		"a life backwards":      {"x", 1, -time.Hour},
		"a life without end":    {"x", 1, 367 * 24 * time.Hour},
	} {
		_, _, err := h.APIKeys.MintRegistration(t.Context(), try.name, try.uses, try.life, domain.Event{})
		if err == nil || oauth.AsError(err).Code != oauth.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATextThatIsNoInitialAccessTokenHasNoHash(t *testing.T) {
	h := house.OnSQLite(t)
	text, _, err := h.APIKeys.MintRegistration(t.Context(), "x", 1, time.Hour, domain.Event{})
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	for _, bad := range []string{"", "cs_irt_", good[1:], good + "A", good[:len(good)-1], "cs_sk__" + good[7:], good[:20] + "!" + good[21:], good + "\n", " " + good} {
		if _, ok := apikey.RegistrationHash(bad); ok {
			t.Errorf("%q passes", bad)
		}
	}
}
