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
		h.Clock.Step(time.Minute)
		of("later", domain.RegisteredByAnybody)
		s.settle(t.Context(), n)
		if got := posts.Load(); got != strangersPerMinute+2 {
			t.Error("nobody is told a minute later")
		}
	})
}
