package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// liteWriter is the one writer of a SQLite file: a goroutine with a connection of its own. While it commits, the next
// jobs gather, and then share one transaction and so one fsync; an idle writer starts at once.
type liteWriter struct {
	pool *sql.DB
	conn *sql.Conn
	q    *preparing

	mu      sync.Mutex
	waiting []*job
	closed  bool
	wake    chan struct{} // holds a token while there may be something to do
	done    chan struct{}
}

// job is one change.
type job struct {
	ctx  context.Context // of the caller: one that is gone before its turn is dropped
	ride ride
	run  func(context.Context, queryer) error
	end  chan error // holds the outcome, whether or not anybody waits
	err  error      // of run, while the transaction is open
}

// maxShared bounds a transaction, so that no caller waits for the work of hundreds.
const maxShared = 128

func startLiteWriter(ctx context.Context, dsn string) (*liteWriter, error) {
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	w := &liteWriter{
		pool: pool, conn: conn, q: &preparing{prepare: conn.PrepareContext},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go w.work()
	return w, nil
}

// ask hands a change to the writer and waits. The change does not feel the caller's context: once begun, its
// outcome stands, and an interrupted statement would take the others with it.
func ask[T any](ctx context.Context, w *liteWriter, r ride, change func(context.Context, queryer) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	result := new(T)
	j := &job{ctx: ctx, ride: r, end: make(chan error, 1), run: func(ctx context.Context, q queryer) (err error) {
		*result, err = change(ctx, q)
		return err
	}}
	if err := w.add(j); err != nil {
		return none, err
	}
	select {
	case err := <-j.end:
		if err != nil {
			return none, err
		}
		return *result, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (w *liteWriter) add(j *job) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.waiting = append(w.waiting, j)
	w.nudge()
	return nil
}

func (w *liteWriter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

// close lets what waits finish.
func (w *liteWriter) close() error {
	w.mu.Lock()
	w.closed = true
	w.nudge()
	w.mu.Unlock()
	<-w.done
	return errors.Join(w.q.close(), w.conn.Close(), w.pool.Close())
}

func (w *liteWriter) work() {
	defer close(w.done)
	for range w.wake {
		for {
			batch, closed := w.take()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			err := w.carry(batch)
			for _, j := range batch {
				j.end <- errors.Join(err, j.err)
			}
		}
	}
}

// take gathers the next transaction in the order of arrival: one that goes alone, or those that share up to it.
func (w *liteWriter) take() (batch []*job, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := 0
	for _, j := range w.waiting {
		if len(batch) == maxShared || (len(batch) > 0 && (j.ride == alone || batch[0].ride == alone)) {
			break
		}
		taken++
		if err := j.ctx.Err(); err != nil {
			j.end <- err
			continue
		}
		batch = append(batch, j)
	}
	rest := copy(w.waiting, w.waiting[taken:])
	clear(w.waiting[rest:])
	w.waiting = w.waiting[:rest]
	return batch, w.closed
}

// jobError is the failure of a job that nothing kept apart from the others.
type jobError struct{ error }

func (e jobError) Unwrap() error { return e.error }

// carry commits a batch. Its error is everybody's; that of a job which can be undone by itself is its own. A savepoint
// is two more statements beside the one of a rotation, so a single job goes without. Only where one fails is the batch
// undone and carried once more with a savepoint around each: what was wrong with one is nobody else's trouble.
func (w *liteWriter) carry(batch []*job) error {
	err := w.commit(batch, false)
	var failed jobError
	if errors.As(err, &failed) && len(batch) > 1 {
		err = w.commit(batch, true)
	}
	return err
}

// commit carries a batch in one transaction, guarding those that share or all.
func (w *liteWriter) commit(batch []*job, all bool) error {
	ctx := context.Background()
	err := safely(func() error {
		if _, err := w.q.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		for _, j := range batch {
			run := w.unguarded
			if all || j.ride == shared {
				run = w.guarded
			}
			if err := run(ctx, j); err != nil {
				return err
			}
		}
		if _, err := w.q.ExecContext(ctx, "COMMIT"); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	})
	if err != nil { // whatever broke off: the connection must not stay inside a transaction
		undone := safely(func() error {
			_, err := w.q.ExecContext(ctx, "ROLLBACK")
			return err
		})
		_ = undone // it fails only where SQLite has rolled back already, or never began
	}
	return err
}

// unguarded runs a job that is alone, or a single one: if it fails, everything is undone.
func (w *liteWriter) unguarded(ctx context.Context, j *job) error {
	err := safely(func() error { return j.run(ctx, w.q) })
	if j.ride == single && errors.Is(err, ErrNotFound) {
		j.err = err // a statement that found nothing changed nothing
		return nil
	}
	if err != nil {
		return jobError{err}
	}
	return nil
}

// guarded runs a job behind a savepoint, so that its failure is nobody else's.
func (w *liteWriter) guarded(ctx context.Context, j *job) error {
	if _, err := w.q.ExecContext(ctx, "SAVEPOINT job"); err != nil {
		return err
	}
	if j.err = safely(func() error { return j.run(ctx, w.q) }); j.err != nil {
		if _, err := w.q.ExecContext(ctx, "ROLLBACK TO job"); err != nil {
			return err
		}
	}
	_, err := w.q.ExecContext(ctx, "RELEASE job")
	return err
}
