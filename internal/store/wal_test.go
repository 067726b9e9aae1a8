package store

import (
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/pgcluster"
)

// A refresh is a row updated in place: no row is added, no index touched, and the WAL grows by less than 300 bytes a
// refresh, full-page images apart, even where each commits alone.
func TestARefreshAddsNoRowAndLittleWAL(t *testing.T) {
	db := migrated(t, Options{URL: ownCluster(t)})
	run(t, db, "CREATE EXTENSION pg_walinspect")
	sessions := make([]domain.Session, 200)
	for i := range sessions {
		sessions[i] = mustSignIn(t, db, newSignIn(db))
	}
	const stride = 37 // sessions that are refreshed together seldom lie together
	round := func(together int) {
		for i := 0; i < len(sessions); i += together {
			atOnce(together, func(n int) {
				s := &sessions[(i+n)*stride%len(sessions)]
				got, err := db.RotateRefresh(t.Context(), rotation(db, *s))
				if err != nil || !got.Advanced {
					t.Errorf("advanced %t (%v)", got.Advanced, err)
				}
				*s = got.View.Session
			})
		}
	}
	round(1)
	before := mustRows(t, db)
	updates, hot := updateCounts(t, db)
	for name, together := range map[string]int{"alone": 1, "40 at once": 40} {
		from := walPosition(t, db)
		const rounds = 5
		for range rounds {
			round(together)
		}
		each := walBytes(t, db, from) / int64(rounds*len(sessions))
		t.Logf("%s: %d bytes of WAL a refresh", name, each)
		if each > 300 {
			t.Errorf("%s: %d bytes of WAL a refresh", name, each)
		}
	}
	for table, n := range mustRows(t, db) {
		if n != before[table] {
			t.Errorf("%s grew from %d to %d rows", table, before[table], n)
		}
	}
	updatesAfter, hotAfter := updateCounts(t, db)
	if updatesAfter-updates != hotAfter-hot {
		t.Errorf("%d updates, of which heap-only %d", updatesAfter-updates, hotAfter-hot)
	}
}

// ownCluster is a server nobody else uses: the WAL is the whole server's, and another's open snapshot keeps old row
// versions from being cleared away.
func ownCluster(t *testing.T) (url string) {
	t.Helper()
	c, err := pgcluster.Start(t.Context(), pgcluster.Set("autovacuum", "off"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if url, err = c.CreateDatabase(t.Context(), "wal"); err != nil {
		t.Fatal(err)
	}
	return url
}

func walPosition(t *testing.T, db *DB) (lsn string) {
	t.Helper()
	if err := one(t.Context(), db.pool, "SELECT pg_current_wal_insert_lsn()::text", nil, &lsn); err != nil {
		t.Fatal(err)
	}
	return lsn
}

// walBytes sums up what this database's tables and commits wrote since, without full-page images.
func walBytes(t *testing.T, db *DB, from string) (bytes int64) {
	t.Helper()
	const query = `SELECT coalesce(sum(record_length - fpi_length), 0)::bigint
		FROM pg_get_wal_records_info($1::pg_lsn, pg_current_wal_flush_lsn())
		WHERE resource_manager LIKE 'Heap%' OR resource_manager IN ('Btree', 'Transaction')`
	if err := one(t.Context(), db.pool, query, []any{from}, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// updateCounts reads the table's statistics, which a backend hands in when it is done with them.
func updateCounts(t *testing.T, db *DB) (updates, hot int64) {
	t.Helper()
	run(t, db, "SELECT pg_stat_force_next_flush()")
	const query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'"
	if err := one(t.Context(), db.pool, query, nil, &updates, &hot); err != nil {
		t.Fatal(err)
	}
	return updates, hot
}
