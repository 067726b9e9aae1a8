package keyring

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/pgcluster"
)

// site is a database, its clock, which stands still until it is stepped, and the master key of its nodes.
type site struct {
	url    string
	nanos  atomic.Int64
	master string
}

func (s *site) now() time.Time       { return time.Unix(0, s.nanos.Load()).UTC() }
func (s *site) step(d time.Duration) { s.nanos.Add(int64(d)) }

func onBothEngines(t *testing.T, test func(t *testing.T, s *site)) {
	run := func(t *testing.T, url string) {
		s := &site{url: url, master: NewMasterLine()}
		s.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
		if _, err := s.db(t).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	}
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db")) })
	t.Run("postgres", func(t *testing.T) { run(t, pgcluster.Shared(t)) })
}

func (s *site) db(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{URL: s.url, Clock: s.now, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// node is one of several on the site.
func (s *site) node(t testing.TB, o Options) *Ring {
	t.Helper()
	r, err := Open(context.Background(), s.db(t), mustMaster(t, s.master), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func turn(t testing.TB, nodes ...*Ring) {
	t.Helper()
	for _, r := range nodes {
		if err := r.Turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Ready(); err != nil {
			t.Fatal(err)
		}
	}
}

// signsFor fails the test unless what one node signs now is accepted by the other.
func signsFor(t testing.TB, signing, checking *Ring) (kid string) {
	t.Helper()
	for _, alg := range []domain.SigningAlg{domain.ES256, domain.RS256} {
		s, err := signing.Signer(alg)
		if err != nil {
			t.Fatal(err)
		}
		if alg == domain.ES256 {
			kid = s.Kid()
		}
		raw, err := s.Sign("JWT", map[string]string{"sub": "x"})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = jose.Verify(t.Context(), raw, jose.Policy{Algs: []jose.Alg{s.Alg()}}, func(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
			return checking.PublicKey(ctx, h.Kid, h.Alg)
		})
		if err != nil {
			t.Fatalf("%s signed by one node is refused by the other: %v", s.Kid(), err)
		}
	}
	return kid
}

func TestTheFirstNodeMakesTheFirstKeys(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a := s.node(t, Options{})
		rows, err := a.List(t.Context())
		if err != nil || len(rows) != 3 {
			t.Fatalf("%d keys, error %v", len(rows), err)
		}
		signsFor(t, a, a) // at once
		if len(a.PublicKeys()) != 2 {
			t.Errorf("%d public keys", len(a.PublicKeys()))
		}
		b := s.node(t, Options{})
		if b.Current() != a.Current() {
			t.Errorf("the second node mints with %d, the first with %d", b.Current(), a.Current())
		}
		signsFor(t, b, a)
	})
}

func TestNodesThatStartAtOnceAgree(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		nodes := make([]*Ring, 4)
		var all sync.WaitGroup
		db, master := s.db(t), mustMaster(t, s.master)
		for i := range nodes {
			all.Go(func() {
				var err error
				if nodes[i], err = Open(context.Background(), db, master, Options{}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			return
		}
		if rows, err := nodes[0].List(t.Context()); err != nil || len(rows) != 3 {
			t.Errorf("%d keys, error %v", len(rows), err)
		}
		for _, n := range nodes {
			if n.Current() != nodes[0].Current() {
				t.Errorf("one mints with %d, another with %d", n.Current(), nodes[0].Current())
			}
			signsFor(t, n, nodes[0])
			signsFor(t, nodes[0], n)
		}
	})
}

func TestAnotherMasterKeyIsRefused(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		s.node(t, Options{})
		_, err := Open(t.Context(), s.db(t), mustMaster(t, NewMasterLine()), Options{})
		if !errors.Is(err, errWrongMaster) {
			t.Errorf("error %v", err)
		}
	})
}

func TestTheMasterKeyIsReplacedInThreeSteps(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		current := r.Current()
		key, _ := r.Key(current, RefreshMAC)
		oldLine, newLine := s.master, NewMasterLine()
		for _, lines := range []string{oldLine + "\n" + newLine, newLine + "\n" + oldLine, newLine} {
			s.master = lines
			r = s.node(t, Options{})
			if got, ok := r.Key(current, RefreshMAC); !ok || string(got) != string(key) {
				t.Error("another key came out")
			}
			signsFor(t, r, r)
		}
	})
}

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

// KL06
func TestTheJWKSHoldsWhatItShould(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		first := signsFor(t, r, r)
		published := func() map[string]map[string]any {
			set, err := jose.MarshalSet(r.PublicKeys())
			if err != nil {
				t.Fatal(err)
			}
			var jwks struct{ Keys []map[string]any }
			if err := json.Unmarshal(set, &jwks); err != nil {
				t.Fatal(err)
			}
			byKid := map[string]map[string]any{}
			for _, k := range jwks.Keys {
				byKid[k["kid"].(string)] = k
			}
			return byKid
		}
		allowed := map[string]bool{"kty": true, "kid": true, "alg": true, "use": true, "crv": true, "x": true, "y": true, "n": true, "e": true}
		for kid, k := range published() {
			for member := range k {
				if !allowed[member] {
					t.Errorf("key %s publishes %q", kid, member)
				}
			}
			if k["use"] != "sig" || (k["alg"] != "ES256" && k["alg"] != "RS256") {
				t.Errorf("key %s: use %v, alg %v", kid, k["use"], k["alg"])
			}
		}

		s.step(89*day + time.Minute)
		turn(t, r) // the next one is published a day ahead
		if n := len(published()); n != 4 {
			t.Errorf("%d keys are published a day before the rotation, want 4", n)
		}
		if kid := signsFor(t, r, r); kid != first {
			t.Error("the next key signs before its time")
		}
		s.step(day)
		if kid := signsFor(t, r, r); kid == first {
			t.Error("the old key signs after its time")
		}
		if published()[first] == nil {
			t.Error("the old key is gone while its tokens live")
		}
		s.step(25 * time.Hour)
		if published()[first] != nil {
			t.Error("a key long retired is published")
		}
		if _, err := r.PublicKey(t.Context(), first, jose.ES256); !errors.Is(err, jose.ErrToken) {
			t.Errorf("a key long retired is accepted: %v", err)
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

func TestUnknownKeysAreLookedUpOnlyWhenTheyMayExist(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		a, b := s.node(t, Options{}), s.node(t, Options{})
		s.step(time.Hour)
		if err := a.Rotate(t.Context(), true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		rows, err := a.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var young uint32
		for _, row := range rows {
			if row.Use == domain.KeyUseData {
				young = max(young, row.ID)
			}
		}
		if _, ok := b.Key(young, RefreshMAC); ok {
			t.Fatal("the other node knows the key already")
		}
		if _, ok, err := b.Find(t.Context(), young, RefreshMAC); !ok || err != nil {
			t.Errorf("the young key: %v, %v", ok, err)
		}

		// With the database gone, only a young id makes the ring ask for it.
		b.db.Close()
		s.step(2 * time.Second)
		now := uint32(s.now().Unix())
		for id, asks := range map[uint32]bool{0: false, 1: false, now - 1800: false, now + 3600: false, 1<<32 - 1: false, now - 5: true} {
			if _, ok, err := b.Find(t.Context(), id, RefreshMAC); ok || (err != nil) != asks {
				t.Errorf("id %d from now: found %v, error %v, want a query: %v", int64(id)-int64(now), ok, err, asks)
			}
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

func TestWhatIsSealedOpensForItsRowAlone(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		sealed, err := r.Seal("row 1", []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Open("row 1", sealed); err != nil || string(got) != "secret" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := r.Open("row 2", sealed); err == nil {
			t.Error("opened for another row")
		}
		for i := range sealed {
			damaged := append([]byte(nil), sealed...)
			damaged[i] ^= 1
			if _, err := r.Open("row 1", damaged); err == nil {
				t.Errorf("opened with byte %d damaged", i)
			}
			if _, err := r.Open("row 1", sealed[:i]); err == nil {
				t.Errorf("opened %d bytes of it", i)
			}
		}
		again, err := r.Seal("row 1", []byte("secret"))
		if err != nil || string(again) == string(sealed) {
			t.Errorf("sealing twice gives the same bytes; error %v", err)
		}
	})
}

func TestPurposesGetKeysOfTheirOwn(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		seen := map[string]Purpose{}
		for _, p := range purposes {
			key, ok := r.Key(r.Current(), p)
			if !ok || len(key) != 32 {
				t.Fatalf("%s: %d bytes, %v", p, len(key), ok)
			}
			if other, twice := seen[string(key)]; twice {
				t.Errorf("%s and %s share a key", p, other)
			}
			seen[string(key)] = p
		}
		if _, ok := r.Key(r.Current(), "made-up"); ok {
			t.Error("a purpose nobody knows has a key")
		}
	})
}

func TestPublicKeyWantsKidAndAlgorithm(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		es, _ := r.Signer(domain.ES256)
		if key, err := r.PublicKey(t.Context(), es.Kid(), jose.ES256); err != nil {
			t.Error(err)
		} else if _, ok := key.(*ecdsa.PublicKey); !ok {
			t.Errorf("a %T", key)
		}
		for _, c := range []struct {
			kid string
			alg jose.Alg
		}{{es.Kid(), jose.RS256}, {"", jose.ES256}, {"../../x", jose.ES256}, {es.Kid() + " ", jose.ES256}, {kidOf(1, "es256"), jose.ES256}} {
			if _, err := r.PublicKey(t.Context(), c.kid, c.alg); !errors.Is(err, jose.ErrToken) {
				t.Errorf("kid %q, %s: %v", c.kid, c.alg, err)
			}
		}
	})
}
