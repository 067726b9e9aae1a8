package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// ahead is how long a key is published, at least, before it mints, where nobody is in a hurry.
func (r *Ring) ahead(k kind) time.Duration {
	if k.use == domain.KeyUseData {
		return r.o.ReadableAhead
	}
	return r.o.PublishAhead
}

// aheadInHaste is how long it must be published for nobody to be surprised.
func (r *Ring) aheadInHaste(k kind) time.Duration {
	if k.use == domain.KeyUseData {
		return r.o.ReadableAhead
	}
	return min(cachedFor, r.o.PublishAhead)
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

// keepSchedule sees to it that one key of every kind mints and the next one stands behind it, published. It is what
// heals a start on an older release's rows and a crash half way through a rotation.
func (r *Ring) keepSchedule(ctx context.Context, by domain.Event) error {
	if !slices.ContainsFunc(allKinds, r.wanting) {
		return nil
	}
	// What a wrong clock dated would stand in the rows for good.
	if err := r.db.CheckClock(ctx); err != nil {
		return fmt.Errorf("make the next keys: %w", err)
	}
	for _, k := range allKinds {
		if err := r.keepInTurn(ctx, k, by); err != nil {
			return fmt.Errorf("make the next %s key: %w", k.alg, err)
		}
	}
	return r.Reload(ctx)
}

// wanting tells whether there is something to do for the kind.
func (r *Ring) wanting(k kind) bool {
	seen, now := r.keys.Load(), r.db.Now()
	last, ok := seen.last(k)
	current, _ := seen.minting(k, now)
	return !ok || !last.ActiveAt.After(now) || current.ActiveAt.After(now)
}

// keepInTurn does for one kind what there is to do.
func (r *Ring) keepInTurn(ctx context.Context, k kind, by domain.Event) error {
	seen, now := r.keys.Load(), r.db.Now()
	current, ok := seen.minting(k, now)
	if ok && current.ActiveAt.After(now) { // it stepped in, and the rows do not say so
		return r.advance(ctx, current, now, by)
	}
	last, ok := seen.last(k)
	if ok && last.ActiveAt.After(now) {
		return nil
	}
	a := appointment{kind: k, seen: seen, now: now, draw: k.generate, event: by}
	switch {
	case current.ID == 0: // all were dropped
		a.activeAt = now
	case ok:
		a.activeAt = later(last.ActiveAt.Add(r.period(k)), now.Add(r.ahead(k)))
	default: // the successor of the current one was dropped; if too little time is left, it mints on
		a.activeAt = later(current.RetiredAt, now.Add(r.ahead(k)))
		a.extended = current.ID
	}
	return r.add(ctx, a)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Rotate lets the next key of every kind take over once it was published for a day (PublishAhead); with now set, as
// soon as no cache can be without it, which is at once, unless the last rotation was minutes ago.
func (r *Ring) Rotate(ctx context.Context, now bool, e domain.Event) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	if err := r.keepSchedule(ctx, e); err != nil {
		return err
	}
	seen, at := r.keys.Load(), r.db.Now()
	for _, k := range allKinds {
		next, ok := seen.next(k, at)
		if !ok {
			continue // all were dropped: one was made just now and mints
		}
		ahead := r.ahead(k)
		if now {
			ahead = r.aheadInHaste(k)
		}
		published := next.CreatedAt
		if published.After(at) { // by a clock that was wrong
			published = at
		}
		if err := r.advance(ctx, next, later(at, published.Add(ahead)), e); err != nil {
			return fmt.Errorf("rotate %s: %w", k.alg, err)
		}
	}
	if err := r.Reload(ctx); err != nil {
		return err
	}
	return r.keepSchedule(ctx, e) // if this fails, Run does it within a second
}

// advance brings the turn of a key forward. That another node did so already is no error.
func (r *Ring) advance(ctx context.Context, row domain.Key, to time.Time, by domain.Event) error {
	_, err := r.db.AdvanceKey(ctx, row, r.retirement(row.Use, to), audit(by, "key.advance", keyName(row), r.db.Now()))
	return err
}

// ErrNoSuchKey is returned by Drop for a kid that names no signing key.
var ErrNoSuchKey = errors.New("no signing key has this kid")

// Drop refuses a signing key at once, everywhere within the reload period. If it was the current one, the next one,
// which verifiers know, mints from the very same transaction on, and another stands behind it.
func (r *Ring) Drop(ctx context.Context, kid string, e domain.Event) error {
	if err := r.Reload(ctx); err != nil {
		return err
	}
	row, ok := r.keys.Load().signingRow(kid)
	if !ok {
		return ErrNoSuchKey
	}
	if err := r.drop(ctx, row, e); err != nil {
		return fmt.Errorf("drop key %s: %w", kid, err)
	}
	if err := r.Reload(ctx); err != nil {
		return err
	}
	return r.keepSchedule(ctx, domain.Event{}) // if this fails, Run does it within a second
}

// drop brings a spare key, in case no other is left: on a new ring, or because two were dropped at once.
func (r *Ring) drop(ctx context.Context, row domain.Key, e domain.Event) error {
	seen, now := r.keys.Load(), r.db.Now()
	d := store.KeyDrop{ID: row.ID, At: now}
	for _, k := range allKinds { // a kind of a newer release has no spare
		if !k.has(row) {
			continue
		}
		drawn, err := k.generate()
		if err != nil {
			return err
		}
		spare, _ := draft(appointment{kind: k, seen: seen, now: now, activeAt: now})
		if err := drawn.seal(&spare, r.master); err != nil {
			return err
		}
		d.Spare, d.Made = &spare, audit(domain.Event{}, "key.rotate", keyName(spare), now)
	}
	return r.db.DropKey(ctx, d, audit(e, "key.drop", keyName(row), now))
}

// signingRow finds the row of a kid, dropped or not.
func (s *snapshot) signingRow(kid string) (domain.Key, bool) {
	for _, row := range s.rows {
		if row.Use == domain.KeyUseSign && kidOf(row.ID, row.Alg) == kid {
			return row, true
		}
	}
	return domain.Key{}, false
}

// appointment is a key to be made.
type appointment struct {
	kind     kind
	seen     *snapshot // what the decision rests on: if another node made one since, this one is not made
	now      time.Time
	activeAt time.Time
	extended uint32 // the key that mints until then, although it was to end sooner
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
	row, notSince := draft(a)
	var retire *store.RetireKeys
	if !notSince.IsZero() {
		ends := r.retirement(a.kind.use, a.activeAt)
		ends.Extended = a.extended
		retire = &ends
	}
	if err := drawn.seal(&row, r.master); err != nil {
		return err
	}
	_, err = r.db.AddKey(ctx, row, notSince, retire, audit(a.event, "key.rotate", keyName(row), a.now))
	return err
}

// draft writes the row of a key, but for its material. Another key of the kind must not have been made since notSince.
func draft(a appointment) (row domain.Key, notSince time.Time) {
	row = domain.Key{
		ID: a.kind.firstID(uint32(a.now.Unix())), Use: a.kind.use, Alg: a.kind.alg,
		CreatedAt: a.now, ActiveAt: a.activeAt,
	}
	newest, ok := a.seen.newest(a.kind)
	if !ok {
		return row, notSince
	}
	row.ID = max(row.ID, newest.ID+idStep)
	notSince = newest.CreatedAt.Add(time.Microsecond) // the store's finest step
	row.CreatedAt = later(row.CreatedAt, notSince)
	return row, notSince
}

// retirement ends the turn of the older keys. Data keys are never removed: what they sealed has no end. They stop
// being accepted for anything else KeepData later, see Key.
func (r *Ring) retirement(use domain.KeyUse, at time.Time) store.RetireKeys {
	retire := store.RetireKeys{RetiredAt: at}
	if use == domain.KeyUseSign {
		retire.ExpiresAt = at.Add(r.o.KeepSigning)
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
