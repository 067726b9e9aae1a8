package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// notices writes n notices of a client, due from a moment on, a second apart.
func notices(t *testing.T, db *DB, client string, n int, due time.Time) {
	t.Helper()
	id := domain.NewID[domain.SessionID]()
	for i := range n {
		at := micros(due.Add(time.Duration(i) * time.Second))
		run(t, db, `INSERT INTO notices (client_id, account_id, session_id, attempts, created_at, due_at, expires_at)
			VALUES ($1, $2, $2, 0, $3, $3, $4)`, client, id[:], at, at+micros(time.Unix(0, 0).Add(noticeLife)))
	}
}

func mustDueClient(t *testing.T, db *DB, now time.Time, without ...string) string {
	t.Helper()
	client, err := db.DueClient(t.Context(), now, without)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestTheClientThatWaitedLongestComesFirstOfThoseThatMay(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now := db.Now()
		notices(t, db, "hung", 20, now.Add(-time.Hour))
		notices(t, db, "slow", 2, now.Add(-time.Minute))
		notices(t, db, "quick", 2, now)
		notices(t, db, "early", 1, now.Add(time.Minute))
		notices(t, db, "late", 1, now.Add(-noticeLife))
		for _, c := range []struct {
			without []string
			want    string
		}{
			{nil, "hung"}, {[]string{"hung"}, "slow"}, {[]string{"slow"}, "hung"}, {[]string{"hung", "nobody", "slow"}, "quick"},
			{[]string{"quick", "slow", "hung"}, ""},
		} {
			if got := mustDueClient(t, db, now, c.without...); got != c.want {
				t.Errorf("without %v it is %q, not %q", c.without, got, c.want)
			}
		}
	})
}

func TestAClaimTakesOneClientsOldestAndTouchesNoOther(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now := db.Now()
		notices(t, db, "hung", 5, now.Add(-time.Hour))
		notices(t, db, "quick", 3, now.Add(-time.Minute))
		claim := func(client string, limit int) (said string) {
			list, err := db.DueNotices(t.Context(), now, time.Minute, client, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range list {
				said += fmt.Sprintf("%s %d, ", n.ClientID, n.Attempts)
			}
			return said
		}
		for _, c := range []struct {
			client string
			limit  int
			want   string
		}{
			{"quick", 2, "quick 1, quick 1, "}, {"quick", 2, "quick 1, "}, {"quick", 2, ""}, {"hung", 0, ""}, {"nobody", 9, ""},
			{"hung", 9, "hung 1, hung 1, hung 1, hung 1, hung 1, "},
		} {
			if got := claim(c.client, c.limit); got != c.want {
				t.Errorf("%d of %s: %q, not %q", c.limit, c.client, got, c.want)
			}
		}
	})
}
