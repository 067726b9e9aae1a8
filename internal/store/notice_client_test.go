package store

import (
	"fmt"
	"regexp"
	"strings"
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

// A client that answers nobody leaves a backlog that everybody looks past, twice a second.
func TestABacklogOfOneClientCostsTheOthersNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		now, id, explain := db.Now(), newID(), "EXPLAIN QUERY PLAN "
		series := "WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 20000) "
		if db.postgres() {
			explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "
		}
		run(t, db, series+`INSERT INTO notices (client_id, account_id, session_id, attempts, created_at, due_at, expires_at)
			SELECT 'silent', $1, $1, 0, $2, CAST($4 AS BIGINT) + i, $3 FROM s`, id[:], micros(now.Add(-time.Hour)), micros(now.Add(day)), micros(now.Add(-time.Hour)))
		notices(t, db, "quick", 1, now)
		run(t, db, "ANALYZE notices")
		for query, args := range map[string][]any{
			dueClients + " AND id <> $2 ORDER BY since, id LIMIT 1":                      {micros(now), "silent"},
			"SELECT id" + dueNotices + " AND client_id = $2 ORDER BY due_at, id LIMIT 4": {micros(now), "quick"},
		} {
			plan := strings.Join(mustPlan(t, db, explain+query, args...), "\n")
			for _, n := range regexp.MustCompile(`(?:actual rows=|Removed by Filter: )(\d+)`).FindAllStringSubmatch(plan, -1) {
				if len(n[1]) > 2 {
					t.Errorf("%s rows are looked at:\n%s", n[1], plan)
				}
			}
			if strings.Contains(plan, "SCAN notices") || strings.Contains(plan, "Seq Scan on notices") || !strings.Contains(plan, "notices_client") {
				t.Errorf("%s\n%s", query, plan)
			}
		}
		if got := mustDueClient(t, db, now, "silent"); got != "quick" {
			t.Errorf("it is %q", got)
		}
	})
}
