package signin_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
)

// A code is redeemed once, so what Apple gave for it is kept although something happens between its answer and the
// database.
func TestWhatAppleGaveForACodeIsNotLost(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		w.account(t, w.Apple, apple("ada")) // and Apple's keys are known
		w.appleGrants(t, 1)
		// asked starts a sign-in whose code Apple redeems when answer is called.
		asked := func(t *testing.T, subject string) (account string, answer func()) {
			t.Helper()
			before, hold := w.Apple.Requests("/auth/token"), make(chan struct{})
			w.Apple.Behave(standin.Behaviour{Until: hold})
			account = w.account(t, w.Apple, apple(subject))
			eventually(t, 10*time.Second, "Apple was asked", func() bool { return w.Apple.Requests("/auth/token") > before })
			return account, func() {
				w.Apple.Behave(standin.Behaviour{})
				close(hold)
			}
		}
		t.Run("the database is away for a moment", func(t *testing.T) {
			bob, answer := asked(t, "bob")
			mend := w.Break()
			answer()
			redeemed := time.Time{}
			eventually(t, 10*time.Second, "Apple answered a while ago", func() bool {
				if redeemed.IsZero() && len(w.Apple.AppleRefreshTokens()) == 2 {
					redeemed = time.Now()
				}
				return !redeemed.IsZero() && time.Since(redeemed) > 300*time.Millisecond
			})
			mend()
			w.appleGrants(t, 2)
			w.wantGrants(t, bob, 1)
		})
		t.Run("the server is stopped", func(t *testing.T) {
			carol, answer := asked(t, "carol")
			time.AfterFunc(300*time.Millisecond, answer)
			w.Restart()
			w.appleGrants(t, 3)
			w.wantGrants(t, carol, 1)
		})
	})
}
