//go:build unix

package pgcluster_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign/test/pgcluster"
)

func query(t *testing.T, url, sql string) (value string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func change(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestClusterKeepsWhatWasCommittedWhenItIsKilled(t *testing.T) {
	c, err := pgcluster.Start(t.Context(), pgcluster.Set("wal_writer_delay", "1s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if err := c.Stop(); err != nil {
			t.Error("a second stop:", err)
		}
	}()
	url, err := c.CreateDatabase(t.Context(), "Odd name")
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{"fsync": "on", "listen_addresses": "", "wal_writer_delay": "1s"}
	for name, want := range settings {
		if got := query(t, url, "SELECT current_setting('"+name+"')"); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	change(t, url, "CREATE TABLE kept AS SELECT 'still here' AS word")
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Fatal("a killed cluster answers")
	}
	if err := c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := query(t, url, "SELECT word FROM kept"); got != "still here" {
		t.Errorf("got %q after the restart", got)
	}
}

func TestSharedDatabasesAreFreshAndDropped(t *testing.T) {
	var first string
	t.Run("made", func(t *testing.T) {
		first = pgcluster.Shared(t)
		if second := pgcluster.Shared(t); second == first {
			t.Fatal("two calls gave one database")
		}
		query(t, first, "SELECT 'it answers'")
	})
	if conn, err := pgx.Connect(t.Context(), first); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is there after its test")
	} else if !strings.Contains(err.Error(), "does not exist") {
		t.Error(err)
	}
}

func TestSharedUsesTheClusterOfTheEnvironment(t *testing.T) {
	c, err := pgcluster.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(pgcluster.Env, c.URL(""))
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("database", func(t *testing.T) {
		url := pgcluster.Shared(t)
		_, host, _ := strings.Cut(os.Getenv(pgcluster.Env), "?")
		if !strings.HasSuffix(url, host) {
			t.Errorf("%s is not on the cluster at %s", url, host)
		}
	})
}
