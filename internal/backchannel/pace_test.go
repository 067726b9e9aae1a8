package backchannel

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/house"
)

// RG10: whoever registers at will could name anybody's address and end sessions of their own without end.
func TestClientsThatNobodyAnswersForAreHeardAtAPace(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		var posts atomic.Int64
		victim := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts.Add(1) }))
		t.Cleanup(victim.Close)
		s, n, _ := scene(t, h, victim.URL)
		s.Pace = NewPace()
		of := func(id string, by domain.RegisteredBy) {
			s.Client = known(domain.Catalog{Clients: []domain.Client{{ID: n.ClientID, BackchannelLogout: victim.URL + "/" + id, Registered: by, IDTokenAlg: domain.ES256}}})
		}
		for i := range 3 * strangersPerMinute {
			of(string(rune('a'+i%20)), domain.RegisteredByAnybody)
			s.settle(t.Context(), n)
		}
		if got := posts.Load(); got != strangersPerMinute {
			t.Errorf("%d posts to one host", got)
		}
		of("theirs", domain.RegisteredByToken)
		s.settle(t.Context(), n)
		if got := posts.Load(); got != strangersPerMinute+1 {
			t.Error("a client that somebody answers for is held to it")
		}
		// Who has to wait is not claimed over and over meanwhile, and nothing counts as tried.
		_, waits, _ := scene(t, h, victim.URL)
		of("again", domain.RegisteredByAnybody)
		s.settle(t.Context(), waits)
		if c := s.lines.closed(h.DB.Now()); len(c) != 1 {
			t.Errorf("%v is closed", c)
		}
		again, err := h.DB.DueNotices(t.Context(), h.DB.Now().Add(2*time.Minute), lease, n.ClientID, 1)
		if err != nil || len(again) != 1 || again[0].Attempts != waits.Attempts {
			t.Errorf("%+v, before %+v, %v", again, waits, err)
		}
		h.Clock.Step(time.Minute)
		if c := s.lines.closed(h.DB.Now()); len(c) != 0 || len(s.lines.open) != 0 {
			t.Errorf("%v is closed a minute later, %d lines are kept", c, len(s.lines.open))
		}
		of("later", domain.RegisteredByAnybody)
		s.settle(t.Context(), n)
		if got := posts.Load(); got != strangersPerMinute+2 {
			t.Error("nobody is told a minute later")
		}
	})
}
