package keyring

import (
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// KL01, and what holds for data keys: over a year of rotations no node ever refuses what another made, although
// the second one is always 20 hours behind.
func TestRotationsAreNoticedByNobody(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		busy, lazy := s.node(t, Options{}), s.node(t, Options{})
		kids, dataKeys := map[string]bool{}, map[uint32]bool{}
		for hours := 0; hours < 400*24; hours += 20 {
			turn(t, lazy)
			s.step(20 * time.Hour)
			turn(t, busy)
			kids[signsFor(t, busy, lazy)] = true

			s.step(time.Minute)
			id := busy.Current()
			dataKeys[id] = true
			if _, ok, err := lazy.Find(t.Context(), id, RefreshMAC); !ok || err != nil {
				t.Fatalf("data key %d is not found by the other node: %v", id, err)
			}
		}
		if len(kids) != 5 || len(dataKeys) != 5 {
			t.Errorf("%d signing and %d data keys in 400 days, want one every 90", len(kids), len(dataKeys))
		}
		if n := len(busy.PublicKeys()); n > 6 {
			t.Errorf("%d keys are published", n)
		}
	})
}

func TestADroppedKeyIsRefusedAndReplacedAtOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		bad := signsFor(t, a, b)
		s.step(time.Hour)
		if err := a.Drop(t.Context(), bad, domain.Event{Actor: "api-key key_x"}); err != nil {
			t.Fatal(err)
		}
		s.step(time.Second)
		turn(t, b)
		for _, n := range []*Ring{a, b} {
			if _, err := n.PublicKey(t.Context(), bad, jose.ES256); !errors.Is(err, jose.ErrToken) {
				t.Errorf("the dropped key: %v", err)
			}
			for _, k := range n.PublicKeys() {
				if k.Kid == bad {
					t.Error("the dropped key is published")
				}
			}
		}
		if signsFor(t, a, b) == bad || signsFor(t, b, a) == bad {
			t.Error("the dropped key signs")
		}
		if err := a.Drop(t.Context(), "zzzz-es256", domain.Event{}); !errors.Is(err, ErrNoSuchKey) {
			t.Errorf("an unknown kid: %v", err)
		}
		events, err := a.db.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 20)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range events {
			found = found || e.Action == "key.drop" && e.Reason == bad && e.Actor == "api-key key_x"
		}
		if !found {
			t.Errorf("the audit trail says %+v", events)
		}
	})
}

func TestTheNextKeyStepsInForADroppedOne(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		bad := signsFor(t, r, r)
		s.step(89*day + time.Minute)
		turn(t, r)
		published := len(r.PublicKeys())
		if err := r.Drop(t.Context(), bad, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		if kid := signsFor(t, r, r); kid == bad || len(r.PublicKeys()) != published-1 {
			t.Errorf("%s signs, %d keys are published, were %d", kid, len(r.PublicKeys()), published)
		}

		// The one that was to follow is dropped: the current one must not be left without a successor.
		s.step(90 * day)
		turn(t, r)
		s.step(time.Hour)
		current := signsFor(t, r, r)
		for _, k := range r.PublicKeys() {
			if k.Alg == jose.ES256 && k.Kid != current && k.Kid != bad {
				if err := r.Drop(t.Context(), k.Kid, domain.Event{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 50 {
			s.step(time.Hour)
			turn(t, r)
			signsFor(t, r, r)
		}
		if signsFor(t, r, r) == current {
			t.Error("the rotation did not take place")
		}
	})
}

func TestAnOperatorRotates(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		kid, data := signsFor(t, a, b), a.Current()
		s.step(time.Hour)
		if err := a.Rotate(t.Context(), true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		if signsFor(t, a, b) != kid || a.Current() != data {
			t.Error("a new key mints before other nodes can have read it")
		}
		s.step(time.Minute)
		turn(t, b)
		if signsFor(t, a, b) == kid || a.Current() == data || b.Current() != a.Current() {
			t.Error("the new keys do not mint a minute later")
		}

		kid = signsFor(t, a, b)
		if err := a.Rotate(t.Context(), false, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		s.step(23 * time.Hour)
		if signsFor(t, a, b) != kid {
			t.Error("without haste, the new key must be published for a day")
		}
		s.step(2 * time.Hour)
		if signsFor(t, a, b) == kid {
			t.Error("the new key does not sign a day later")
		}
	})
}

func TestARetiredDataKeyIsKeptForItsTime(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		id := r.Current()
		sealed, err := r.Seal("identities/idn_1/refresh", []byte("a provider's token"))
		if err != nil {
			t.Fatal(err)
		}
		s.step(90 * day)
		turn(t, r)
		s.step(2 * time.Minute)
		if r.Current() == id {
			t.Fatal("the data key did not change")
		}
		s.step(399 * day)
		if _, ok := r.Key(id, RefreshMAC); !ok {
			t.Error("tokens of 399 days ago are refused")
		}
		s.step(2 * day)
		if _, ok := r.Key(id, RefreshMAC); ok {
			t.Error("tokens of 401 days ago are accepted")
		}
		if _, err := r.db.Sweep(t.Context(), s.now()); err != nil {
			t.Fatal(err)
		}
		again := s.node(t, Options{})
		if got, err := again.Open("identities/idn_1/refresh", sealed); err != nil || string(got) != "a provider's token" {
			t.Errorf("what was sealed for ever: %q, %v", got, err)
		}
	})
}
