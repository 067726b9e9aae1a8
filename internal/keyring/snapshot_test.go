package keyring

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// TestWhichKeyMints walks a key through its life: published, minting, retired, dropped.
func TestWhichKeyMints(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	key := func(id uint32, active int) domain.Key {
		return domain.Key{ID: id, Use: domain.KeyUseSign, Alg: "ES256", CreatedAt: at(active), ActiveAt: at(active)}
	}
	retired := func(k domain.Key, hours int) domain.Key {
		k.RetiredAt = at(hours)
		return k
	}
	dropped := func(k domain.Key) domain.Key {
		k.DroppedAt = now
		return k
	}
	for _, c := range []struct {
		name string
		rows []domain.Key
		want uint32 // zero: none
	}{
		{"none", nil, 0},
		{"the only one", []domain.Key{key(1, -5)}, 1},
		{"the first one, from its very moment", []domain.Key{key(1, 0)}, 1},
		{"the next one waits for its turn", []domain.Key{retired(key(1, -5), 3), key(2, 3)}, 1},
		{"the next one's turn has come", []domain.Key{retired(key(1, -5), 0), key(2, 0)}, 2},
		{"the clocks are apart: both could", []domain.Key{retired(key(1, -5), 1), key(2, -1)}, 2},
		{"the current one was dropped, the next is published", []domain.Key{dropped(key(1, -5)), key(2, 3)}, 2},
		{"two are published: the first to come", []domain.Key{dropped(key(1, -5)), key(3, 9), key(2, 3)}, 2},
		{"the next one was overtaken by a quicker rotation", []domain.Key{retired(key(1, -5), 24), retired(key(2, 24), 1), key(3, 1)}, 1},
		{"the same, later", []domain.Key{retired(key(1, -50), -1), retired(key(2, -26), -49), key(3, -49)}, 3},
		{"all dropped", []domain.Key{dropped(key(1, -5)), dropped(key(2, 3))}, 0},
		{"another algorithm's", []domain.Key{{ID: 9, Use: domain.KeyUseSign, Alg: "RS256", ActiveAt: at(-1)}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &snapshot{rows: c.rows, signing: map[uint32]*signingKey{}}
			for _, row := range c.rows {
				if row.DroppedAt.IsZero() {
					s.signing[row.ID] = &signingKey{row: row}
				}
			}
			got, ok := s.minting(es256Kind, now)
			if got.ID != c.want || ok != (c.want != 0) {
				t.Errorf("key %d mints, want %d", got.ID, c.want)
			}
		})
	}
}

func TestAKeyThisNodeCannotOpenDoesNotMint(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &snapshot{rows: []domain.Key{{ID: 4, Use: domain.KeyUseData, Alg: dataKind.alg, ActiveAt: now}}}
	if _, ok := s.minting(dataKind, now); ok {
		t.Error("it mints")
	}
}
