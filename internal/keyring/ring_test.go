package keyring

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

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

// RT09: whoever invents young ids makes a node ask once a second, and an answer of the last second is one.
func TestYoungUnknownKeysAreLookedUpOnceASecond(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		s.step(2 * time.Second)
		find := func() error {
			_, ok, err := r.Find(t.Context(), uint32(s.now().Unix())+30, RefreshMAC)
			if ok {
				t.Error("there is such a key")
			}
			return err
		}
		if err := find(); err != nil {
			t.Fatal(err)
		}
		r.db.Close()
		if err := find(); err != nil {
			t.Errorf("a second query within the second: %v", err)
		}
		s.step(reloadEvery)
		if err := find(); err == nil {
			t.Error("no query after a second")
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

// rfc8725-3.10-01: with the database gone, a kid that has not the form of ours is refused all the same. Nobody asked for it.
func TestKidsThatAreNoNamesCauseNoQuery(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		if err := r.db.Close(); err != nil {
			t.Fatal(err)
		}
		s.step(time.Hour)
		young := kidOf(uint32(s.now().Unix())-5, "es256")
		for _, kid := range []string{"", "../../x", "' OR 1=1 --", "x-es256", strings.ToUpper(young), " " + young, strings.Repeat("k", 4096)} {
			if _, err := r.PublicKey(t.Context(), kid, jose.ES256); !errors.Is(err, jose.ErrToken) {
				t.Errorf("kid %q: %v", kid, err)
			}
		}
		if _, err := r.PublicKey(t.Context(), young, jose.ES256); err == nil || errors.Is(err, jose.ErrToken) {
			t.Errorf("a kid that may exist was not asked for: %v", err)
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

func TestAKeyThisNodeCannotOpenIsNoVerdict(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		behind := s.node(t, Options{})
		s.master = NewMasterLine() + "\n" + s.master
		ahead := s.node(t, Options{})
		s.step(time.Second)
		if err := ahead.Rotate(t.Context(), true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		s.step(7 * time.Minute)
		if err := behind.Turn(t.Context()); err == nil || behind.Ready() == nil {
			t.Error("the node takes itself for ready")
		}
		signer, err := ahead.Signer(domain.ES256)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := behind.PublicKey(t.Context(), signer.Kid(), jose.ES256); err == nil || errors.Is(err, jose.ErrToken) {
			t.Errorf("a verdict on a signature: %v", err)
		}
		if _, ok, err := behind.Find(t.Context(), ahead.Current(), RefreshMAC); ok || err == nil {
			t.Errorf("a verdict on a token: %t, %v", ok, err)
		}
		if err := ahead.Drop(t.Context(), signer.Kid(), domain.Event{}); err != nil {
			t.Fatal(err)
		}
		_ = behind.Turn(t.Context())
		if _, err := behind.PublicKey(t.Context(), signer.Kid(), jose.ES256); !errors.Is(err, jose.ErrToken) {
			t.Errorf("a dropped key is refused, whoever can open it: %v", err)
		}
	})
}
