package faults_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/countersign/countersign/internal/domain"
)

// row is what a session has come to.
type row struct {
	tier    domain.Tier
	counter int
	state   domain.SessionState
	reason  domain.EndReason
}

// look is the sessions as the database showed them at some moment between two.
type look struct {
	from, to time.Time
	rows     map[domain.SessionID]row
}

// ledger is what the database has when all is over.
type ledger struct {
	look
	identities map[domain.AccountID]int      // of each account
	nonces     map[domain.SessionID]int      // consumed sign-in nonces that name each session
	keys       int                           // ever made
	audit      map[domain.SessionID][]entry  // of each session
	made       map[domain.AccountID][]string // audit actions of each account, sessions aside
	others     map[string]int                // audit actions that name neither
}

// entry is a row of the audit trail.
type entry struct{ action, reason string }

// books reads the fleet's database behind its back.
type books struct {
	db *sql.DB
	queryer
}

// queryer is db, or a transaction of it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func open(database string) (*books, error) {
	driver, source := "pgx", database
	if file, ok := strings.CutPrefix(database, "sqlite:"); ok { // the driver comes with the store
		query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}
		driver, source = "sqlite", (&url.URL{Scheme: "file", Opaque: file, RawQuery: query.Encode()}).String()
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &books{db, db}, nil
}

// look reads the sessions.
func (b *books) look(ctx context.Context) (look, error) {
	l := look{from: time.Now(), rows: map[domain.SessionID]row{}}
	err := b.each(ctx, "SELECT id, tier, counter, state, end_reason FROM sessions", func(scan scanner) error {
		var id []byte
		var r row
		if err := scan(&id, &r.tier, &r.counter, &r.state, &r.reason); err != nil {
			return err
		}
		l.rows[domain.SessionID(id)] = r
		return nil
	})
	l.to = time.Now()
	return l, err
}

// close reads everything as of one moment, for what a phone has given up may still be under way.
func (b *books) close(ctx context.Context) (l ledger, err error) {
	tx, err := b.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, tx.Rollback(), b.db.Close()) }()
	b.queryer = tx
	if l.look, err = b.look(ctx); err != nil {
		return l, err
	}
	l.identities, l.nonces = map[domain.AccountID]int{}, map[domain.SessionID]int{}
	l.audit, l.made, l.others = map[domain.SessionID][]entry{}, map[domain.AccountID][]string{}, map[string]int{}
	for query, read := range map[string]func(scanner) error{
		"SELECT a.id, count(i.id) FROM accounts a LEFT JOIN identities i ON i.account_id = a.id GROUP BY a.id": func(scan scanner) error {
			return counted(scan, l.identities)
		},
		"SELECT session_id, count(*) FROM nonces WHERE session_id IS NOT NULL GROUP BY session_id": func(scan scanner) error {
			return counted(scan, l.nonces)
		},
		"SELECT count(*) FROM keys":                                 func(scan scanner) error { return scan(&l.keys) },
		"SELECT action, reason, session_id, account_id FROM events": l.readEvent,
	} {
		if err := b.each(ctx, query, read); err != nil {
			return l, err
		}
	}
	return l, nil
}

func counted[ID ~[16]byte](scan scanner, into map[ID]int) error {
	var id []byte
	var n int
	err := scan(&id, &n)
	into[ID(id)] = n
	return err
}

func (l *ledger) readEvent(scan scanner) error {
	var e entry
	var session, account []byte
	if err := scan(&e.action, &e.reason, &session, &account); err != nil {
		return err
	}
	switch {
	case session != nil:
		id := domain.SessionID(session)
		l.audit[id] = append(l.audit[id], e)
	case account != nil:
		id := domain.AccountID(account)
		l.made[id] = append(l.made[id], e.action)
	default:
		l.others[e.action]++
	}
	return nil
}

type scanner func(into ...any) error

func (b *books) each(ctx context.Context, query string, read func(scanner) error) error {
	rows, err := b.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return rows.Err()
}

// look reads the sessions of a fleet once.
func (f *fleet) look() look {
	f.t.Helper()
	b, err := open(f.database)
	must(f.t, err)
	l, err := b.look(f.t.Context())
	must(f.t, err)
	check(f.t, b.db.Close())
	return l
}

// ledger reads everything of a fleet.
func (f *fleet) ledger() ledger {
	f.t.Helper()
	b, err := open(f.database)
	must(f.t, err)
	l, err := b.close(f.t.Context())
	must(f.t, err)
	return l
}

// exec changes the fleet's PostgreSQL behind its back.
func (f *fleet) exec(statement string, args ...any) {
	f.t.Helper()
	db, err := sql.Open("pgx", f.database)
	must(f.t, err)
	_, err = db.ExecContext(f.t.Context(), statement, args...)
	must(f.t, err)
	check(f.t, db.Close())
}

// watcher looks at the sessions again and again, as far as the database answers.
type watcher struct {
	stop  context.CancelFunc
	done  sync.WaitGroup
	looks []look
}

// lookEvery is how often.
const lookEvery = 150 * time.Millisecond

func (b *books) watch() *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{stop: cancel}
	w.done.Go(func() {
		for rest(ctx, lookEvery) == nil {
			within, cancel := context.WithTimeout(ctx, time.Second)
			if l, err := b.look(within); err == nil {
				w.looks = append(w.looks, l)
			}
			cancel()
		}
	})
	return w
}

// end stops looking and returns what was seen.
func (w *watcher) end() []look {
	w.stop()
	w.done.Wait()
	return w.looks
}
