package keyring

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// State is where a key is in its life.
type State string

// The states.
const (
	Next    State = "next"    // published, and waits for its turn
	Active  State = "active"  // mints
	Retired State = "retired" // mints no longer, or never will; what it made is accepted
	Expired State = "expired" // nothing it made is accepted (what a data key sealed still opens)
	Dropped State = "dropped" // refused, for it leaked
)

// Listed is a key as people see it. Its times are what became of it, or will, and not what was once planned: a key
// that never had its turn has no ActiveAt, and for a dropped key everything ends with the drop. ExpiresAt is set for
// data keys too.
type Listed struct {
	domain.Key
	State State
}

// List returns all keys, newest first.
func (r *Ring) List(ctx context.Context) ([]Listed, error) {
	rows, err := r.db.Keys(ctx)
	if err != nil {
		return nil, err
	}
	list, now := make([]Listed, len(rows)), r.db.Now()
	for i, row := range rows {
		list[i] = r.listed(row, now)
	}
	return list, nil
}

func (r *Ring) listed(row domain.Key, now time.Time) Listed {
	if row.Use == domain.KeyUseData && !row.RetiredAt.IsZero() {
		row.ExpiresAt = row.RetiredAt.Add(r.o.KeepData)
	}
	if !row.DroppedAt.IsZero() {
		row.RetiredAt = earlier(row.RetiredAt, row.DroppedAt)
		row.ExpiresAt = earlier(row.ExpiresAt, row.DroppedAt)
	}
	if !row.RetiredAt.IsZero() && !row.ActiveAt.Before(row.RetiredAt) { // dropped or overtaken before its turn
		row.ActiveAt = time.Time{}
	}
	return Listed{row, stateOf(row, now)}
}

func stateOf(row domain.Key, now time.Time) State {
	switch {
	case !row.DroppedAt.IsZero():
		return Dropped
	case !row.ExpiresAt.IsZero() && !now.Before(row.ExpiresAt):
		return Expired
	case row.ActiveAt.IsZero(), !row.RetiredAt.IsZero() && !now.Before(row.RetiredAt):
		return Retired
	case now.Before(row.ActiveAt):
		return Next
	}
	return Active
}

// earlier is the first of two moments, of which a may not be set.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
