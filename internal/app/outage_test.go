package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/pgcluster"
)

// TK14: while the database is gone this node asks for no work and gives no verdicts; afterwards it goes on by itself.
func TestAnOutageOfTheDatabasePasses(t *testing.T) {
	cluster, err := pgcluster.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	url, err := cluster.CreateDatabase(t.Context(), "outage")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, folder(t), url, "")
	ready := func() int {
		status, _ := s.get(t, s.AdminURL()+"/readyz")
		return status
	}
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the node is not ready", func() bool { return ready() == http.StatusServiceUnavailable })
	if status, _ := s.token(t, "nightly"); status != http.StatusServiceUnavailable {
		t.Errorf("token during the outage: %d", status)
	}
	if status, _ := s.get(t, s.AdminURL()+"/healthz"); status != http.StatusOK {
		t.Errorf("a restart would mend nothing, but healthz says %d", status)
	}
	eventually(t, 10*time.Second, "the log tells of it", func() bool {
		return strings.Contains(s.log.String(), `msg="background job fails" job="read the catalog"`)
	})

	if status, body := s.get(t, s.AdminURL()+"/readyz"); status != http.StatusServiceUnavailable || body != `{"reason":"database","status":"not ready"}` {
		t.Errorf("a stranger is told %d %s", status, body)
	}

	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the node is ready again", func() bool { return ready() == http.StatusOK })
	eventually(t, 10*time.Second, "tokens are issued again", func() bool {
		status, _ := s.token(t, "nightly")
		return status == http.StatusOK
	})
	eventually(t, 10*time.Second, "the log tells of that too", func() bool {
		return strings.Contains(s.log.String(), `msg="background job works again" job="read the catalog"`)
	})
	if n := strings.Count(s.log.String(), `msg="background job fails" job="read the catalog"`); n != 1 {
		t.Errorf("one outage was told %d times", n)
	}
	for _, line := range []string{`msg="not ready" reason=database cause="`, `msg="ready again"`} {
		if n := strings.Count(s.log.String(), line); n != 1 {
			t.Errorf("%d lines with %s:\n%s", n, line, s.log.String())
		}
	}
}
