package store

import (
	"context"
	"errors"
	"runtime"
	"slices"
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

func TestTheWriterUndoesAFailedJobAndNobodyElses(t *testing.T) {
	db := migrated(t, Options{URL: engines[0].url(t)})
	release := held(t, db)
	mine := errors.New("mine")
	outcomes := make(chan error, 3)
	for i, fails := range []error{nil, mine, nil} {
		go func() {
			_, err := write(context.Background(), db, shared, func(ctx context.Context, q queryer) (none struct{}, _ error) {
				return none, errors.Join(insertNonce(ctx, q, sum()), fails)
			})
			outcomes <- err
		}()
		queue(db.lite, i+1)
	}
	release()
	failed := 0
	for range 3 {
		if err := <-outcomes; errors.Is(err, mine) {
			failed++
		} else if err != nil {
			t.Error(err)
		}
	}
	if n := mustRows(t, db)["nonces"]; failed != 1 || n != 2 {
		t.Errorf("%d failed, %d rows", failed, n)
	}
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
