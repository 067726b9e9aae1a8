package keyring

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// oidc-core-8.1-03: what is derived from the first key is the same on every node, for ever, under any master key.
func TestTheFirstKeyStaysTheFirst(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		first, ok := s.node(t, Options{}).First(Pairwise)
		if !ok || len(first) != masterLen {
			t.Fatal(first, ok)
		}
		same := func(what string) {
			t.Helper()
			if got, ok := s.node(t, Options{}).First(Pairwise); !ok || !bytes.Equal(got, first) {
				t.Errorf("%s: another key", what)
			}
		}
		same("another node")
		for range 3 {
			r := s.node(t, Options{})
			if err := r.Rotate(t.Context(), true, domain.Event{}); err != nil {
				t.Fatal(err)
			}
			s.step(100 * day)
			turn(t, r)
			same("a rotation")
		}
		s.step(3 * 365 * day)
		if _, err := s.node(t, Options{}).db.Sweep(t.Context(), s.now()); err != nil {
			t.Fatal(err)
		}
		same("three years and a sweep")
		old := s.master
		s.master = strings.Join([]string{NewMasterLine(), old}, "\n")
		same("a new master key before the old one")
		s.master, _, _ = strings.Cut(s.master, "\n")
		same("the new master key alone")
		for _, p := range purposes {
			if other, _ := s.node(t, Options{}).First(p); p != Pairwise && bytes.Equal(other, first) {
				t.Errorf("it is also the key of %s", p)
			}
		}
	})
}

// A wrong subject is worse than none: a first key that cannot be had is never stood in for.
func TestNoOtherKeyTakesThePlaceOfTheFirst(t *testing.T) {
	r := &Ring{o: Options{}.withDefaults()}
	row := func(id uint32, created time.Time) domain.Key {
		return domain.Key{ID: id, Use: domain.KeyUseData, Alg: dataKind.alg, CreatedAt: created}
	}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rows := []domain.Key{row(8, noon.Add(time.Hour)), row(4, noon)}
	younger := &dataKey{row: rows[0], derived: map[Purpose][]byte{Pairwise: {1}}}
	r.keys.Store(&snapshot{rows: rows, data: map[uint32]*dataKey{8: younger}})
	if key, ok := r.First(Pairwise); ok {
		t.Errorf("%v", key)
	}
	r.keys.Store(&snapshot{})
	if key, ok := r.First(Pairwise); ok {
		t.Errorf("%v", key)
	}
}
