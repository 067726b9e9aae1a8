package backchannel

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/house"
)

// scene is a service with one notice claimed, of a client with this address.
func scene(t *testing.T, h *house.House, address string) (s *Service, n store.Notice, gaveUp *[]error) {
	t.Helper()
	told := domain.Catalog{Clients: []domain.Client{*h.Client(house.Todo)}}
	told.Clients[0].BackchannelLogout = address
	request := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, "")
	request.Client = &told.Clients[0]
	in := h.Enter(t, request)
	if err := h.Sessions.End(t.Context(), in.Session.ID, domain.EndedByAdmin); err != nil {
		t.Fatal(err)
	}
	list, err := h.DB.DueNotices(t.Context(), h.DB.Now(), lease, house.Todo, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	gaveUp = new([]error)
	return &Service{
		DB: h.DB, Tokens: h.Tokens, Client: known(told),
		Fetch:  fetch.New(fetch.Options{AllowLoopback: true}),
		GaveUp: func(err error) { *gaveUp = append(*gaveUp, err) },
	}, list[0], gaveUp
}

func known(c domain.Catalog) func(context.Context, string) (*domain.Client, error) {
	return func(_ context.Context, id string) (*domain.Client, error) {
		for i := range c.Clients {
			if c.Clients[i].ID == id {
				return &c.Clients[i], nil
			}
		}
		return nil, nil
	}
}

func left(t *testing.T, h *house.House) int64 {
	t.Helper()
	rows, err := h.DB.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows["notices"]
}

// oidc-backchannel-2.8-01
func TestWhatAClientAnswersDecidesWhetherItIsToldAgain(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		for status, want := range map[int]struct {
			left   int64
			gaveUp bool
		}{
			200: {0, false}, 204: {0, false}, 400: {0, true}, 401: {0, true}, 404: {0, true}, 302: {0, true}, 501: {1, false},
			408: {1, false}, 429: {1, false}, 500: {1, false}, 503: {1, false}, 504: {1, false},
		} {
			client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
			s, n, gaveUp := scene(t, h, client.URL)
			s.settle(t.Context(), n)
			client.Close()
			if got := left(t, h); got != want.left || (len(*gaveUp) > 0) != want.gaveUp {
				t.Errorf("%d: %d notices are left, given up: %v", status, got, *gaveUp)
			}
			_ = h.DB.NoticeDone(t.Context(), n.ID)
		}
	})
}

func TestAClientThatIsNotThereIsToldAgainForADay(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		gone := httptest.NewServer(nil)
		gone.Close()
		s, n, gaveUp := scene(t, h, gone.URL)
		s.settle(t.Context(), n)
		if left(t, h) != 1 || len(*gaveUp) != 0 {
			t.Fatalf("%d left, %v", left(t, h), *gaveUp)
		}
		if due, err := h.DB.DueClient(t.Context(), h.DB.Now(), nil); due != "" || err != nil {
			t.Errorf("due at once: %v %v", due, err)
		}
		h.Clock.Step(24*time.Hour - time.Minute)
		s.settle(t.Context(), store.Notice{
			ID: n.ID, ClientID: n.ClientID, AccountID: n.AccountID, SessionID: n.SessionID, Attempts: 20, ExpiresAt: n.ExpiresAt,
		})
		if left(t, h) != 0 || len(*gaveUp) != 1 || !strings.Contains((*gaveUp)[0].Error(), n.SessionID.String()) {
			t.Errorf("%d left, %v", left(t, h), *gaveUp)
		}
	})
}

func TestTheOperatorHearsOnceOfAClientThatStaysSilent(t *testing.T) {
	h := house.OnSQLite(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	s, n, gaveUp := scene(t, h, gone.URL)
	var silent []error
	s.Silent = func(err error) { silent = append(silent, err) }
	for round := 1; round < 20; round++ {
		s.settle(t.Context(), n)
		s.settle(t.Context(), n) // under way at the same time
		if want := round >= silentAfter; (len(silent) == 1) != want || len(silent) > 1 || len(*gaveUp) != 0 {
			t.Fatalf("after %d rounds: %v, given up: %v", round, silent, *gaveUp)
		}
		h.Clock.Step(maxSilence)
	}
	if !strings.Contains(silent[0].Error(), "client "+house.Todo+" ") {
		t.Error(silent[0])
	}
}

// SE05
func TestNobodyIsToldAtAnAddressThatIsNotPublic(t *testing.T) {
	h := house.OnSQLite(t)
	for _, address := range []string{"https://10.0.0.1/logout", "https://169.254.169.254/latest", "http://login.example/logout", "https://127.0.0.1:1/x"} {
		s, n, gaveUp := scene(t, h, address)
		s.Fetch = fetch.New(fetch.Options{})
		s.settle(t.Context(), n)
		if left(t, h) != 0 || len(*gaveUp) != 1 {
			t.Errorf("%s: %d left, %v", address, left(t, h), *gaveUp)
		}
	}
}

func TestAClientThatIsGoneOrWantsNoMoreIsForgotten(t *testing.T) {
	h := house.OnSQLite(t)
	for name, catalog := range map[string]domain.Catalog{
		"gone": {}, "no address": {Clients: []domain.Client{{ID: house.Todo}}},
	} {
		s, n, gaveUp := scene(t, h, "https://app.example/logout")
		s.Client = known(catalog)
		s.settle(t.Context(), n)
		if left(t, h) != 0 || len(*gaveUp) != 0 {
			t.Errorf("%s: %d left, %v", name, left(t, h), *gaveUp)
		}
	}
}

func TestTriesGrowRarer(t *testing.T) {
	before := time.Duration(0)
	for attempts := 1; attempts < 40; attempts++ {
		next := backoff(attempts)
		if next < before || next < 2*time.Second || next > time.Hour {
			t.Fatalf("after %d tries: %v", attempts, next)
		}
		before = next
	}
}
