package store

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func TestAProfileBeginsWithItsAccountAndIsReplacedAsAWhole(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		in := newSignIn(db)
		in.NewProfile = domain.Profile{Details: domain.Details{Name: "Grace", Address: domain.Address{Country: "US"}}}
		acc := mustSignIn(t, db, in).AccountID
		row, err := db.Profile(t.Context(), acc)
		if err != nil || !row.CreatedAt.Equal(in.NewAccount.CreatedAt) {
			t.Fatalf("%+v %v", row, err)
		}
		if diff := cmp.Diff(in.NewProfile, row.Profile); diff != "" {
			t.Error(diff)
		}
		next := domain.Profile{Details: domain.Details{Nickname: "Amazing"}, PhoneNumberVerified: true, UpdatedAt: db.Now().UTC()}
		if took, err := db.PutProfile(t.Context(), acc, row, next, domain.Event{Actor: "x"}); err != nil || !took {
			t.Fatal(took, err)
		}
		if took, err := db.PutProfile(t.Context(), acc, row, domain.Profile{}, domain.Event{}); err != nil || took {
			t.Errorf("an edit of what was replaced meanwhile: %v %v", took, err)
		}
		row, err = db.Profile(t.Context(), acc)
		if err != nil || !row.Profile.UpdatedAt.Equal(next.UpdatedAt) || row.Profile.Details != next.Details {
			t.Errorf("%+v %v", row, err)
		}
		if took, err := db.PutProfile(t.Context(), acc, row, domain.Profile{}, domain.Event{}); err != nil || !took {
			t.Error(took, err)
		}
		if row, err = db.Profile(t.Context(), acc); err != nil || !row.Profile.IsZero() {
			t.Errorf("%+v %v", row, err)
		}
	})
}

func TestTheProfileOfNobodyIsNotFound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		nobody := domain.NewID[domain.AccountID]()
		if _, err := db.Profile(t.Context(), nobody); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if took, err := db.PutProfile(t.Context(), nobody, &ProfileRow{}, domain.Profile{}, domain.Event{}); took || err != nil {
			t.Error(took, err)
		}
	})
}

func TestOfEditsAtOnceOneReplacesWhatAllSaw(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		acc := mustSignIn(t, db, newSignIn(db)).AccountID
		row, err := db.Profile(t.Context(), acc)
		if err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		atOnce(8, func(n int) {
			p := domain.Profile{Details: domain.Details{Name: string(rune('a' + n))}}
			took, err := db.PutProfile(t.Context(), acc, row, p, domain.Event{})
			if err != nil {
				t.Error(err)
			}
			if took {
				won.Add(1)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d edits took", won.Load())
		}
	})
}
