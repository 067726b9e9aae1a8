package keyring

import (
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// snapshot is what one load of the keys found. It is never changed, so that readers need no lock; which key mints
// is decided from the time at each question, so that a node that cannot reload still keeps to the schedule.
type snapshot struct {
	loadedAt time.Time
	rows     []domain.Key // of all keys, newest first
	data     map[uint32]*dataKey
	signing  map[uint32]*signingKey // not the dropped ones
}

// build opens what is new in rows and takes the rest from the snapshot before.
func (r *Ring) build(rows []domain.Key, before *snapshot) (*snapshot, error) {
	next := &snapshot{rows: rows, data: map[uint32]*dataKey{}, signing: map[uint32]*signingKey{}}
	var problems []error
	for _, row := range rows {
		if !row.DroppedAt.IsZero() {
			continue
		}
		if err := next.take(row, before, r.master); err != nil {
			problems = append(problems, fmt.Errorf("open key %d: %w", row.ID, err))
		}
	}
	return next, errors.Join(problems...)
}

// take adds one row. What is open already is not opened again: a row changes only in its times.
func (s *snapshot) take(row domain.Key, before *snapshot, master *Master) error {
	switch row.Use {
	case domain.KeyUseData:
		if k, ok := before.data[row.ID]; ok {
			s.data[row.ID] = &dataKey{row: row, derived: k.derived, sealing: k.sealing}
			return nil
		}
		k, err := openDataKey(row, master)
		if err == nil {
			s.data[row.ID] = k
		}
		return err
	case domain.KeyUseSign:
		if k, ok := before.signing[row.ID]; ok {
			s.signing[row.ID] = &signingKey{row: row, signer: k.signer}
			return nil
		}
		k, err := openSigningKey(row, master)
		if err == nil {
			s.signing[row.ID] = k
		}
		return err
	}
	return nil // made by a newer release
}

// opened tells whether this node can use the key of the row.
func (s *snapshot) opened(row domain.Key) bool {
	switch row.Use {
	case domain.KeyUseData:
		return s.data[row.ID] != nil
	case domain.KeyUseSign:
		return s.signing[row.ID] != nil
	}
	return false
}

// shut tells whether there is a key of this id, not dropped, that this node could not open.
func (s *snapshot) shut(id uint32) bool {
	for i := range s.rows {
		if s.rows[i].ID == id {
			return s.rows[i].DroppedAt.IsZero() && !s.opened(s.rows[i])
		}
	}
	return false
}

// minting returns the key of the kind that mints at now: the one whose turn came last. Where no turn has come or
// all are over, it is the next to come, which is published already: an older release dropped a key and left the rows so.
func (s *snapshot) minting(k kind, now time.Time) (domain.Key, bool) {
	var current domain.Key
	for _, row := range s.rows {
		if s.usable(k, row, now) && !row.ActiveAt.After(now) && (current.ID == 0 || row.ActiveAt.After(current.ActiveAt)) {
			current = row
		}
	}
	if current.ID != 0 {
		return current, true
	}
	return s.next(k, now)
}

// next returns the key of the kind whose turn comes next.
func (s *snapshot) next(k kind, now time.Time) (domain.Key, bool) {
	var next domain.Key
	for _, row := range s.rows {
		if s.usable(k, row, now) && row.ActiveAt.After(now) && (next.ID == 0 || row.ActiveAt.Before(next.ActiveAt)) {
			next = row
		}
	}
	return next, next.ID != 0
}

func (s *snapshot) usable(k kind, row domain.Key, now time.Time) bool {
	return k.has(row) && s.opened(row) && !retired(row, now)
}

// retired tells whether the key's turn is over, or will be before it comes.
func retired(row domain.Key, now time.Time) bool {
	return !row.RetiredAt.IsZero() && (!now.Before(row.RetiredAt) || !row.ActiveAt.Before(row.RetiredAt))
}

// newest returns the youngest row of the kind, dropped or not.
func (s *snapshot) newest(k kind) (domain.Key, bool) {
	var newest domain.Key
	for _, row := range s.rows {
		if k.has(row) && (newest.ID == 0 || row.CreatedAt.After(newest.CreatedAt)) {
			newest = row
		}
	}
	return newest, newest.ID != 0
}

// oldest returns the first row of the kind, dropped or not.
func (s *snapshot) oldest(k kind) (domain.Key, bool) {
	var oldest domain.Key
	for _, row := range s.rows {
		if k.has(row) && (oldest.ID == 0 || row.CreatedAt.Before(oldest.CreatedAt)) {
			oldest = row
		}
	}
	return oldest, oldest.ID != 0
}

// last returns the key of the kind that has no successor: usually the next one.
func (s *snapshot) last(k kind) (domain.Key, bool) {
	var last domain.Key
	for _, row := range s.rows {
		if k.has(row) && row.RetiredAt.IsZero() && row.DroppedAt.IsZero() && (last.ID == 0 || row.ActiveAt.After(last.ActiveAt)) {
			last = row
		}
	}
	return last, last.ID != 0
}

// known tells whether the load saw a row of this id.
func (s *snapshot) known(id uint32) bool {
	for i := range s.rows {
		if s.rows[i].ID == id {
			return true
		}
	}
	return false
}
