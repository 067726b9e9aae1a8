package harness

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Exec runs statements on the database behind the servers' back.
func (w *World) Exec(statements ...string) {
	w.T.Helper()
	w.execOn(w.Database, statements...)
}

func (w *World) execOn(database string, statements ...string) {
	w.T.Helper()
	driver, source := "pgx", database
	if file, ok := strings.CutPrefix(database, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+file+"?_pragma=busy_timeout(5000)" // the driver comes with the store
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		w.T.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			w.T.Fatalf("%s: %v", s, err)
		}
	}
}

// Break makes every question about people, sessions and clients, and those to more tables, fail in the database, with
// errors that are full of its own words, until mend is called.
func (w *World) Break(more ...string) (mend func()) {
	w.T.Helper()
	var away, back []string
	for _, table := range append([]string{"accounts", "clients", "identities", "nonces", "sessions"}, more...) {
		away = append(away, "ALTER TABLE "+table+" RENAME TO "+table+"_elsewhere")
		back = append(back, "ALTER TABLE "+table+"_elsewhere RENAME TO "+table)
	}
	w.Exec(away...)
	return func() { w.T.Helper(); w.Exec(back...) }
}

// Backup stops the nodes, copies the database and starts them again. restore puts the copy in the database's place,
// once, as an operator would: with the nodes stopped.
func (w *World) Backup() (restore func()) {
	w.T.Helper()
	if w.Engine == SQLite {
		return w.backupFile(strings.TrimPrefix(w.Database, "sqlite:"))
	}
	u, err := url.Parse(w.Database)
	if err != nil {
		w.T.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	copyTo := func(from, to string) {
		w.Restart(func() {
			w.execOn(u.String(), `DROP DATABASE IF EXISTS "`+to+`" WITH (FORCE)`, `CREATE DATABASE "`+to+`" TEMPLATE "`+from+`"`)
		})
	}
	copyTo(name, name+"_copy")
	w.T.Cleanup(func() { w.execOn(u.String(), `DROP DATABASE IF EXISTS "`+name+`_copy" WITH (FORCE)`) })
	return func() { w.T.Helper(); copyTo(name+"_copy", name) }
}

// backupFile copies the file; a store that was closed in good order has left nothing beside it.
func (w *World) backupFile(file string) (restore func()) {
	w.T.Helper()
	var saved []byte
	w.Restart(func() {
		var err error
		if saved, err = os.ReadFile(file); err != nil {
			w.T.Fatal(err)
		}
	})
	return func() {
		w.T.Helper()
		w.Restart(func() {
			for _, beside := range []string{"-wal", "-shm"} {
				_ = os.Remove(file + beside)
			}
			if err := os.WriteFile(file, saved, 0o600); err != nil {
				w.T.Fatal(err)
			}
		})
	}
}
