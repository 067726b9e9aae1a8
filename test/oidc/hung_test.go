package oidc

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// newHung is a client's endpoint that takes what it is told and never answers. Each telling is one value of the channel.
func newHung(t *testing.T) (url string, heard <-chan struct{}) {
	t.Helper()
	told, over := make(chan struct{}, 1000), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.PostFormValue("logout_token")
		told <- struct{}{}
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		close(over)
		server.Close()
	})
	return server.URL, told
}

const hungYAML = `  - id: %s
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["https://rp.example/cb"]
    backchannel_logout_uri: "%s"
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
`

// many writes n notices of a client, due now, as an operator's ending of as many sessions does.
func many(w *harness.World, e harness.Engine, client string, n int) {
	now := w.Store().Now().UnixMicro()
	rows, id := fmt.Sprintf("generate_series(1, %d)", n), `'\x00112233445566778899aabbccddeeff'::bytea`
	if e == harness.SQLite {
		rows = fmt.Sprintf("(WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < %d) SELECT i FROM g)", n)
		id = "x'00112233445566778899aabbccddeeff'"
	}
	w.Exec(fmt.Sprintf(`INSERT INTO notices (client_id, account_id, session_id, attempts, created_at, due_at, expires_at)
		SELECT '%s', %s, %s, 0, %d, %d, %d FROM %s`, client, id, id, now, now, now+86_400_000_000, rows))
}

// Each try that ends makes room for the next: 200 of them at four a look, two looks a second, would take longer.
func TestAHandThatComesFreeIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		told := newReceiver(t)
		w := harness.New(t, e, harness.Clients(fmt.Sprintf(hungYAML, "rp", told.url)))
		many(w, e, "rp", 200)
		told.next(t, 200)
	})
}

// SE05: while all of it hangs, when its tries have failed, and when it is tried again.
func TestAClientThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		const backlog = 2000
		told := newReceiver(t)
		address, hung := newHung(t)
		w := harness.New(t, e, harness.Clients(fmt.Sprintf(hungYAML, "rp", told.url)+fmt.Sprintf(hungYAML, "hung", address)))
		many(w, e, "hung", backlog)
		tries := 0
		for _, after := range []int{1, 4, 5, 6} {
			for ; tries < after; tries++ {
				select {
				case <-hung:
				case <-time.After(20 * time.Second):
					t.Fatalf("the client that hangs was tried %d times, not %d", tries, after)
				}
			}
			began := time.Now()
			many(w, e, "rp", 8)
			told.next(t, 8)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("after %d tries of one that hangs another client was told after %v", after, took)
			}
		}
		list, err := w.Store().DueNotices(t.Context(), w.Store().Now(), time.Minute, "hung", 2*backlog)
		if err != nil {
			t.Fatal(err)
		}
		untried := 0
		for _, n := range list {
			if n.Attempts == 1 { // this claim
				untried++
			}
		}
		if tries += len(hung); untried+tries < backlog {
			t.Errorf("%d were tried, and %d of %d are as they were", tries, untried, backlog)
		}
	})
}
