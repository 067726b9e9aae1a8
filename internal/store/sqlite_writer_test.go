package store

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// held starts a job that keeps the writer busy until release is called, and returns when it is under way.
func held(t *testing.T, db *DB) (release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, err := write(context.Background(), db, alone, func(context.Context, queryer) (none struct{}, _ error) {
			close(begun)
			<-end
			return none, nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	return func() {
		close(end)
		<-finished
	}
}

// queue waits until n jobs wait for the writer.
func queue(w *liteWriter, n int) {
	for waiting := -1; waiting != n; runtime.Gosched() {
		w.mu.Lock()
		waiting = len(w.waiting)
		w.mu.Unlock()
	}
}

func insertNonce(ctx context.Context, q queryer, hash [32]byte) error {
	_, err := change(ctx, q, "INSERT INTO nonces (hash, expires_at, consumed_at, fingerprint, key_id) VALUES ($1, 0, 0, $2, 0)", hash[:], []byte{})
	return err
}

// Whatever a job does, those who share its transaction get what they asked for, and it leaves nothing behind.
func TestTheWriterUndoesAFailedJobAndNobodyElses(t *testing.T) {
	mine := errors.New("mine")
	for _, tt := range []struct {
		name string
		ride ride
		fail func(ctx context.Context, q queryer) error
	}{
		{"an error behind a savepoint", shared, func(context.Context, queryer) error { return mine }},
		{"an error of a single statement", single, func(context.Context, queryer) error { return mine }},
		{"a value the schema refuses", single, func(ctx context.Context, q queryer) error {
			_, err := change(ctx, q, "INSERT INTO nonces (hash, expires_at, consumed_at, fingerprint, key_id) VALUES (NULL, 0, 0, NULL, 0)")
			return errors.Join(mine, err)
		}},
		{"a panic behind a savepoint", shared, func(context.Context, queryer) error { panic("a defect") }},
		{"a panic of a single statement", single, func(context.Context, queryer) error { panic("a defect") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := migrated(t, Options{URL: engines[0].url(t)})
			release := held(t, db)
			outcomes := make([]error, 5)
			var all sync.WaitGroup
			for i := range outcomes {
				all.Go(func() {
					r := single
					if i == 1 {
						r = tt.ride
					}
					_, outcomes[i] = write(context.Background(), db, r, func(ctx context.Context, q queryer) (none struct{}, _ error) {
						if err := insertNonce(ctx, q, sum()); err != nil || i != 1 {
							return none, err
						}
						return none, tt.fail(ctx, q)
					})
				})
				queue(db.lite, i+1)
			}
			release()
			all.Wait()
			for i, err := range outcomes {
				if (err != nil) != (i == 1) {
					t.Errorf("job %d: %v", i, err)
				}
			}
			if n := mustRows(t, db)["nonces"]; int(n) != len(outcomes)-1 {
				t.Errorf("%d rows", n)
			}
		})
	}
}

func TestAPanicOfAChangeThatGoesAloneLeavesNoTransactionOpen(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		err := safely(func() error { // on PostgreSQL it is met in the caller's own goroutine, which the door guards
			_, err := write(t.Context(), db, alone, func(ctx context.Context, q queryer) (none struct{}, _ error) {
				if err := insertNonce(ctx, q, sum()); err != nil {
					return none, err
				}
				panic("a defect")
			})
			return err
		})
		if err == nil {
			t.Error("it is no error")
		}
		mustSignIn(t, db, newSignIn(db))
		if n := mustRows(t, db)["nonces"]; n != 1 {
			t.Errorf("%d nonces, want the one of the sign-in", n)
		}
	})
}

func TestTheWriterDropsACallerWhoIsGoneBeforeItsTurn(t *testing.T) {
	db := migrated(t, Options{URL: engines[0].url(t)})
	s := mustSignIn(t, db, newSignIn(db))
	release := held(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := db.RotateRefresh(ctx, rotation(db, s))
		gone <- err
	}()
	queue(db.lite, 1)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	release()
	if got := mustRotate(t, db, rotation(db, s)); !got.Advanced {
		t.Error("the dropped rotation had advanced the session")
	}
}

func TestAnEndingSharesItsTransactionWithNobody(t *testing.T) {
	db := migrated(t, Options{URL: engines[0].url(t)})
	w := db.lite
	release := held(t, db)
	rides := []ride{single, shared, alone, alone, shared}
	for i, r := range rides {
		go func() {
			_, _ = write(context.Background(), db, r, func(context.Context, queryer) (none struct{}, _ error) { return none, nil })
		}()
		queue(w, i+1)
	}
	w.mu.Lock()
	copied := &liteWriter{waiting: append([]*job{}, w.waiting...)}
	w.mu.Unlock()
	var sizes []int
	for {
		batch, _ := copied.take()
		if len(batch) == 0 {
			break
		}
		sizes = append(sizes, len(batch))
	}
	release()
	if want := []int{2, 1, 1, 1}; !slices.Equal(sizes, want) {
		t.Errorf("transactions of %v, want %v", sizes, want)
	}
}
