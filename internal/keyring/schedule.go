package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/store"
)

func (r *Ring) period(k kind) time.Duration {
	if k.use == domain.KeyUseData {
		return r.o.DataPeriod
	}
	return r.o.SigningPeriod
}

func (r *Ring) ahead(k kind) time.Duration {
	if k.use == domain.KeyUseData {
		return r.o.ReadableAhead
	}
	return r.o.PublishAhead
}

// makeFirst makes a key of every kind there is none of. The RSA key is drawn while the others are stored.
func (r *Ring) makeFirst(ctx context.Context) error {
	seen, now := r.keys.Load(), r.db.Now()
	drawn := map[kind]func() (material, error){}
	for _, k := range allKinds {
		if _, ok := seen.newest(k); !ok {
			drawn[k] = drawAside(k)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	for _, k := range allKinds {
		draw, missing := drawn[k]
		if !missing {
			continue
		}
		if err := r.add(ctx, appointment{kind: k, seen: seen, now: now, activeAt: now, draw: draw}); err != nil {
			return err
		}
	}
	return r.Reload(ctx)
}

// drawAside starts drawing a key and returns the func that waits for it.
func drawAside(k kind) func() (material, error) {
	type result struct {
		material
		err error
	}
	done := make(chan result, 1)
	go func() {
		m, err := k.generate()
		done <- result{m, err}
	}()
	return func() (material, error) {
		res := <-done
		return res.material, res.err
	}
}

// keepSchedule makes the next key of every kind whose time it is.
func (r *Ring) keepSchedule(ctx context.Context) error {
	seen, now := r.keys.Load(), r.db.Now()
	made := false
	for _, k := range allKinds {
		activeAt, due := r.due(seen, k, now)
		if !due {
			continue
		}
		if err := r.add(ctx, appointment{kind: k, seen: seen, now: now, activeAt: activeAt, draw: k.generate}); err != nil {
			return fmt.Errorf("make the next %s key: %w", k.alg, err)
		}
		made = true
	}
	if !made {
		return nil
	}
	return r.Reload(ctx)
}

// due tells whether the kind needs its next key now, and when that shall mint.
func (r *Ring) due(seen *snapshot, k kind, now time.Time) (activeAt time.Time, due bool) {
	if last, ok := seen.last(k); ok {
		return now.Add(r.ahead(k)), !now.Before(last.ActiveAt.Add(r.period(k) - r.ahead(k)))
	}
	// A key was dropped. One that still mints, but was promised a successor, mints until then.
	current, ok := seen.minting(k, now)
	switch {
	case !ok:
		return now, true
	case current.RetiredAt.Before(now.Add(r.ahead(k))):
		return current.RetiredAt, true
	}
	return now.Add(r.ahead(k)), true
}

// Rotate makes the next key of every kind now, on the normal publish-ahead schedule; with now set, signing keys
// mint as soon as every node can have read them (ReadableAhead).
func (r *Ring) Rotate(ctx context.Context, now bool, e domain.Event) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	seen, at := r.keys.Load(), r.db.Now()
	for _, k := range allKinds {
		ahead := r.ahead(k)
		if now {
			ahead = r.o.ReadableAhead
		}
		if err := r.add(ctx, appointment{kind: k, seen: seen, now: at, activeAt: at.Add(ahead), draw: k.generate, event: e}); err != nil {
			return fmt.Errorf("rotate %s: %w", k.alg, err)
		}
	}
	return r.Reload(ctx)
}

// ErrNoSuchKey is returned by Drop for a kid that names no signing key.
var ErrNoSuchKey = errors.New("no signing key has this kid")

// Drop refuses a signing key at once, everywhere within the reload period, and puts its successor in place: the
// next one, if it is published already, else a new one that mints immediately.
func (r *Ring) Drop(ctx context.Context, kid string, e domain.Event) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	id, ok := r.keys.Load().signingID(kid)
	if !ok {
		return ErrNoSuchKey
	}
	now := r.db.Now()
	if err := r.db.DropKey(ctx, id, now, audit(e, "key.drop", kid, now)); err != nil {
		return fmt.Errorf("drop key %s: %w", kid, err)
	}
	if err := r.Reload(ctx); err != nil {
		return err
	}
	return r.keepSchedule(ctx) // if this fails, Run does it within a second
}

// signingID finds the row of a kid, dropped or not.
func (s *snapshot) signingID(kid string) (uint32, bool) {
	for _, row := range s.rows {
		if row.Use == domain.KeyUseSign && kidOf(row.ID, row.Alg) == kid {
			return row.ID, true
		}
	}
	return 0, false
}

// appointment is a key to be made.
type appointment struct {
	kind     kind
	seen     *snapshot // what the decision rests on: if another node made one since, this one is not made
	now      time.Time
	activeAt time.Time
	draw     func() (material, error)
	event    domain.Event
}

// add makes the key and retires the older ones of its kind from the moment it mints. That another node was faster
// is no error: there is a new key, as wanted.
func (r *Ring) add(ctx context.Context, a appointment) error {
	drawn, err := a.draw()
	if err != nil {
		return err
	}
	row := domain.Key{
		ID: a.kind.firstID(uint32(a.now.Unix())), Use: a.kind.use, Alg: a.kind.alg,
		CreatedAt: a.now, ActiveAt: a.activeAt,
	}
	var notSince time.Time
	var retire *store.RetireKeys
	if newest, ok := a.seen.newest(a.kind); ok {
		row.ID = max(row.ID, newest.ID+idStep)
		notSince = newest.CreatedAt.Add(time.Microsecond) // the store's finest step
		if row.CreatedAt.Before(notSince) {
			row.CreatedAt = notSince
		}
		retire = r.retirement(a)
	}
	if err := drawn.seal(&row, r.master); err != nil {
		return err
	}
	_, err = r.db.AddKey(ctx, row, notSince, retire, audit(a.event, "key.rotate", keyName(row), a.now))
	return err
}

// retirement ends the turn of the older keys. Data keys are never removed: what they sealed has no end. They stop
// being accepted for anything else KeepFor later, see Key.
func (r *Ring) retirement(a appointment) *store.RetireKeys {
	retire := &store.RetireKeys{RetiredAt: a.activeAt}
	if a.kind.use == domain.KeyUseSign {
		retire.ExpiresAt = a.activeAt.Add(r.o.keepSigning())
	}
	return retire
}

// audit completes the event of a change to the keys.
func audit(e domain.Event, action, key string, now time.Time) domain.Event {
	e.At, e.Action, e.Reason = now, action, key
	if e.Actor == "" {
		e.Actor = "system"
	}
	return e
}

// rewrap brings rows that an older line of the master key sealed under the first line.
func (r *Ring) rewrap(ctx context.Context) error {
	for _, row := range r.keys.Load().rows {
		if r.master.wrappedByFirst(row.Sealed) {
			continue
		}
		secret, err := r.master.unwrap(rowAAD(row.ID), row.Sealed)
		if err != nil {
			continue // of a dropped key: all others were opened
		}
		if err := r.db.RewrapKey(ctx, row.ID, row.Sealed, r.master.wrap(rowAAD(row.ID), secret)); err != nil {
			return err
		}
	}
	return nil
}
