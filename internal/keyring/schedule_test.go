package keyring

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/store"
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
		before := published(r)
		if err := r.Drop(t.Context(), bad, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		if kid := signsFor(t, r, r); kid == bad || !slices.Contains(before, kid) || len(r.PublicKeys()) != len(before) {
			t.Errorf("%s signs; published were %q and are %q", kid, before, published(r))
		}

		// An hour before its turn the one that was to follow is dropped: the current one mints until another was
		// published for a day.
		s.step(90*day - time.Hour)
		current := signsFor(t, r, r)
		for _, k := range r.PublicKeys() {
			if k.Alg == jose.ES256 && k.Kid != current && k.Kid != bad {
				if err := r.Drop(t.Context(), k.Kid, domain.Event{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for hour := range 50 {
			if kid := signsFor(t, r, r); (kid == current) != (hour < 24) {
				t.Errorf("after %d hours %s signs; it was %s", hour, kid, current)
			}
			s.step(time.Hour)
			turn(t, r)
		}
	})
}

func TestAnOperatorRotates(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		rotate := func(now bool) {
			t.Helper()
			if err := a.Rotate(t.Context(), now, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		kid, data := signsFor(t, a, b), a.Current()
		rotate(true) // nothing stands behind the first keys yet
		if signsFor(t, a, b) != kid || a.Current() != data {
			t.Error("a new key mints before other nodes can have read it")
		}
		s.step(time.Minute)
		turn(t, b)
		if a.Current() == data || b.Current() != a.Current() {
			t.Error("the new data key does not mint a minute later")
		}
		s.step(5*time.Minute - time.Second)
		if signsFor(t, a, b) != kid {
			t.Error("the new key signs while caches of /jwks may be without it")
		}
		s.step(time.Second)
		if signsFor(t, a, b) == kid {
			t.Error("the new key does not sign six minutes later")
		}

		turn(t, b)
		kid = signsFor(t, a, b)
		s.step(time.Hour)
		rotate(false)
		s.step(23*time.Hour - time.Second)
		if signsFor(t, a, b) != kid {
			t.Error("without haste, the new key must be published for a day")
		}
		s.step(time.Second)
		if signsFor(t, a, b) == kid {
			t.Error("the new key does not sign a day after its publication")
		}

		turn(t, a, b)
		s.step(7 * time.Minute)
		kid, data = signsFor(t, a, b), a.Current()
		rotate(true)
		if signsFor(t, a, b) == kid || a.Current() == data {
			t.Error("keys that are known everywhere do not take over at once")
		}
		signsFor(t, b, a)
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

// published is the kids in /jwks, sorted.
func published(r *Ring) (kids []string) {
	for _, k := range r.PublicKeys() {
		kids = append(kids, k.Kid)
	}
	slices.Sort(kids)
	return kids
}

func (s *site) states(t testing.TB, r *Ring) map[State]int {
	t.Helper()
	list, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := map[State]int{}
	for _, k := range list {
		n[k.State]++
	}
	return n
}

// DESIGN section 6: published before use. From the first minute on, what signs next is in /jwks.
func TestTheNextKeyIsAlwaysPublished(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		turn(t, a, b)
		if n := s.states(t, b); n[Active] != 3 || n[Next] != 3 || len(n) != 2 {
			t.Fatalf("a new ring has %v", n)
		}
		known := published(a)
		for i := range 12 {
			s.step(30*day + 7*time.Minute)
			if kid := signsFor(t, a, b); !slices.Contains(known, kid) {
				t.Errorf("%s signs, but only %q were published", kid, known)
			}
			switch i % 4 {
			case 1:
				if err := a.Rotate(t.Context(), true, domain.Event{}); err != nil {
					t.Fatal(err)
				}
			case 3:
				if err := a.Drop(t.Context(), signsFor(t, a, b), domain.Event{}); err != nil {
					t.Fatal(err)
				}
			}
			if kid := signsFor(t, a, a); !slices.Contains(known, kid) {
				t.Errorf("after a rotation or a drop %s signs, but only %q were published", kid, known)
			}
			turn(t, b, a)
			if n := s.states(t, a); n[Active] != 3 || n[Next] != 3 {
				t.Errorf("the states are %v", n)
			}
			known = published(a)
		}
	})
}

func TestNodesThatTurnAtOnceMakeOneNextKey(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		nodes := []*Ring{s.node(t, Options{}), s.node(t, Options{}), s.node(t, Options{})}
		for range 2 {
			var all sync.WaitGroup
			for _, r := range nodes {
				all.Go(func() {
					if err := r.Turn(context.Background()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := s.states(t, nodes[0]); n[Active] != 3 || n[Next] != 3 {
				t.Errorf("the states are %v", n)
			}
			s.step(90 * day)
		}
	})
}

// The transaction of the drop is all that is needed: no other has to follow for the next key to mint.
func TestADropLeavesNoMomentWithoutAKey(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		turn(t, a, b)
		s.step(time.Hour)
		for _, k := range allKinds {
			current, _ := a.keys.Load().minting(k, s.now())
			next, _ := a.keys.Load().next(k, s.now())
			if err := a.drop(t.Context(), current, domain.Event{}); err != nil { // and here the node dies
				t.Fatal(err)
			}
			if err := b.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if row, ok := b.keys.Load().minting(k, s.now()); !ok || row.ID != next.ID || !row.ActiveAt.Equal(s.now()) {
				t.Errorf("%s: %+v mints, want key %d from now on", k.alg, row, next.ID)
			}
		}
		turn(t, b)
		if n := s.states(t, b); n[Active] != 3 || n[Next] != 3 || n[Dropped] != 3 {
			t.Errorf("the other node did not end it: %v", n)
		}
	})
}

func TestAllKeysAreDroppedAtOnceOnTwoNodes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		turn(t, a, b)
		current, _ := a.keys.Load().minting(es256Kind, s.now())
		next, _ := b.keys.Load().next(es256Kind, s.now())
		for r, row := range map[*Ring]domain.Key{a: current, b: next} {
			if err := r.drop(t.Context(), row, domain.Event{}); err != nil {
				t.Fatal(err)
			}
		}
		c := s.node(t, Options{})
		kid := signsFor(t, c, c)
		if kid == kidOf(current.ID, current.Alg) || kid == kidOf(next.ID, next.Alg) {
			t.Error("a dropped key signs")
		}
		turn(t, c, a, b)
		if signsFor(t, a, b) != kid || s.states(t, c)[Next] != 3 {
			t.Errorf("the spare key is not the one that signs on; the states are %v", s.states(t, c))
		}
	})
}

// An older release made its next key only a day ahead.
func TestAnOlderReleasesKeysGetTheirNextOne(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a := s.node(t, Options{})
		kid := signsFor(t, a, a)
		s.step(40 * day)
		restarted := s.node(t, Options{})
		turn(t, restarted)
		if n := s.states(t, restarted); n[Active] != 3 || n[Next] != 3 {
			t.Fatalf("without a next key before: %v", n)
		}
		s.step(50*day - time.Second)
		if signsFor(t, restarted, a) != kid {
			t.Error("the turn of the current key was cut short")
		}
		s.step(time.Second)
		if signsFor(t, restarted, restarted) == kid {
			t.Error("the turn of the current key does not end")
		}

	})
}

// An older release let the next key step in for a dropped one without a word in its row.
func TestAKeyThatStepsInIsSaidToMint(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		s.step(time.Hour)
		seen := r.keys.Load()
		first, _ := seen.minting(es256Kind, s.now())
		if err := r.db.DropKey(t.Context(), store.KeyDrop{ID: first.ID, At: s.now()}, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		a := appointment{kind: es256Kind, seen: seen, now: s.now(), activeAt: s.now().Add(day), draw: es256Kind.generate}
		if err := r.add(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		turn(t, r, r, r)
		next, _ := r.keys.Load().minting(es256Kind, s.now())
		if next.ID == first.ID || !next.ActiveAt.Equal(s.now()) {
			t.Errorf("%+v mints, want the next one from now on", next)
		}
		if n := s.states(t, r); n[Active] != 3 || n[Next] != 3 || n[Dropped] != 1 {
			t.Errorf("the states are %v", n)
		}
	})
}

// A clock that is far ahead must not date a key: the row would stand for good.
func TestANodeWithAWrongClockMakesNoKeys(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		s.step(95 * day)
		if _, err := r.db.MeasureClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		right := r.db.Ready(t.Context()) == nil // on SQLite there is no other clock to be compared with
		if err := r.Turn(t.Context()); (err == nil) != right {
			t.Errorf("right %t, but %v", right, err)
		}
		if n := s.states(t, r)[Next]; (n == 3) != right {
			t.Errorf("right %t, but %d keys were made", right, n)
		}
	})
}
