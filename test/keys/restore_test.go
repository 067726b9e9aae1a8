package keys_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// A backup older than a data key has lost it. Its sessions are refused, as the table of DESIGN section 3 says, and the
// log tells why; the rows of the keys alone, from a later copy, bring them back.
func TestSavedKeysBringSessionsBackAfterARestore(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		phone := w.SignedIn("honest", "ada", harness.Bearer)
		token := phone.RefreshToken()
		refreshes := func() bool {
			t.Helper()
			a, err := phone.Present(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			if a.Tokens == nil && (a.Status != 400 || !strings.Contains(string(a.Body), `"invalid_grant"`)) {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			return a.Tokens != nil
		}
		w.Restart(func() {
			w.Clock.Step(time.Minute) // for the key that takes the place of the lost one is named after the second
			w.Exec("CREATE TABLE saved AS SELECT * FROM keys", "DELETE FROM keys WHERE use = 'data'")
		})
		if refreshes() {
			t.Fatal("a token of a lost key is accepted")
		}
		if n := strings.Count(w.Log.String(), `"rotation":"unknown_key"`); n != 1 {
			t.Errorf("the log tells of it %d times", n)
		}
		w.Restart(func() {
			w.Exec("INSERT INTO keys SELECT * FROM saved WHERE use = 'data' ON CONFLICT DO NOTHING")
		})
		if !refreshes() {
			t.Error("the session did not come back with its key")
		}
	})
}
