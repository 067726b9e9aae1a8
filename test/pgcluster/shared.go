//go:build unix

package pgcluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env names the variable that holds the URL of a running cluster for all tests; cmd/withpostgres sets it.
const Env = "COUNTERSIGN_TEST_POSTGRES"

// own is this process's cluster where the environment names none. It is never stopped: its watcher clears it away
// when the process ends. (It must stay reachable until then, or the collector closes the leash.)
var own = sync.OnceValues(func() (*Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Start(ctx)
})

// Shared returns the URL of a fresh database on the shared cluster and drops it when the test is over. Without
// PostgreSQL the test fails: a test that can be skipped is no test.
func Shared(t testing.TB) string {
	t.Helper()
	base := os.Getenv(Env)
	if base == "" {
		c, err := own()
		if err != nil {
			t.Fatalf("PostgreSQL for this test: %v", err)
		}
		base = c.URL("")
	}
	name := "t_" + strings.ToLower(rand.Text())
	fresh, err := withDatabase(base, name)
	if err != nil {
		t.Fatalf("%s: %v", Env, err)
	}
	if err := admin(base, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(base, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return fresh
}

// admin has a deadline of its own: the test's context has ended when a database is dropped.
func admin(base, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := execute(ctx, base, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func withDatabase(base, name string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", fmt.Errorf("want a postgres:// URL, got scheme %q", u.Scheme)
	}
	u.Path = "/" + name
	return u.String(), nil
}
