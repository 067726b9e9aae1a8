package signin_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/upstream"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/house"
)

// work runs the outbox while the test lasts and returns what was given up.
func work(t *testing.T, h *house.House) <-chan error {
	t.Helper()
	gaveUp := make(chan error, 10)
	h.SignIn.GaveUp = func(err error) { gaveUp <- err }
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.SignIn.RunOutbox(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return gaveUp
}

func TestAppleCodeIsRedeemedAfterTheSignIn(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		work(t, h)
		in := h.Enter(t, h.Request(t, h.Apple, house.AppleToken("ada"), house.Todo, ""))
		eventually(t, "the grant", func() bool { return granted(t, h, in.Session.AccountID) == 1 })
		if got := h.Apple.AppleRefreshTokens(); len(got) != 1 {
			t.Errorf("Apple gave out %d refresh tokens", len(got))
		}
		if n := rows(t, h)["outbox"]; n != 0 {
			t.Errorf("%d items left", n)
		}
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		e := ada.evidence(t, h.Apple, house.AppleToken("ada-too"), signin.PurposeLink)
		if _, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the grant of the linked identity", func() bool { return granted(t, h, ada.in.Session.AccountID) == 1 })
	})
}

// DESIGN section 4: what Apple gave for an identity is revoked when the person takes it off the account.
func TestUnlinkingAnAppleIdentityRevokesItsGrant(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		gaveUp := work(t, h)
		ada := enter(t, h, h.Apple, house.AppleToken("ada"))
		eventually(t, "the grant", func() bool { return granted(t, h, ada.in.Session.AccountID) == 1 })
		given := h.Apple.AppleRefreshTokens()
		e := ada.evidence(t, h.Google, house.GoogleToken("ada"), signin.PurposeLink)
		google, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e)
		if err != nil {
			t.Fatal(err)
		}
		h.Apple.Behave(standin.Behaviour{Status: http.StatusServiceUnavailable})
		if err := h.SignIn.Unlink(t.Context(), ada.fresh(t), ada.in.Session.IdentityID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the first try", func() bool { return h.Apple.Requests("/auth/revoke") >= 1 })
		h.Apple.Behave(standin.Behaviour{})
		h.Clock.Step(3 * time.Hour) // Apple is down for long
		eventually(t, "the revocation", func() bool { return slices.Equal(h.Apple.AppleRevoked(), given) })
		eventually(t, "the item to go", func() bool { return rows(t, h)["outbox"] == 0 })
		// An identity without a grant leaves nothing to do.
		e = ada.evidence(t, h.Corp, house.CorpToken("ada"), signin.PurposeLink)
		if _, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), e); err != nil {
			t.Fatal(err)
		}
		if err := h.SignIn.Unlink(t.Context(), ada.fresh(t), google.ID); err != nil {
			t.Fatal(err)
		}
		if n := rows(t, h)["outbox"]; n != 0 || len(gaveUp) != 0 {
			t.Errorf("%d items, %d given up", n, len(gaveUp))
		}
	})
}

func TestAppleDownKeepsNobodyOut(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		first := h.Enter(t, h.Request(t, h.Apple, house.AppleToken("ada"), house.Todo, "")) // and Apple's keys are known
		second := h.Request(t, h.Apple, house.AppleToken("bob"), house.Todo, "")
		h.Apple.Behave(standin.Behaviour{Status: http.StatusServiceUnavailable})
		gaveUp := work(t, h)
		in := h.Enter(t, second)
		eventually(t, "two attempts", func() bool { return h.Apple.Requests("/auth/token") >= 2 })
		h.Apple.Behave(standin.Behaviour{})
		h.Clock.Step(time.Minute)                                                    // both are due again
		h.Enter(t, h.Request(t, h.Apple, house.AppleToken("carol"), house.Todo, "")) // and this wakes the worker
		eventually(t, "the grants", func() bool {
			return granted(t, h, first.Session.AccountID) == 1 && granted(t, h, in.Session.AccountID) == 1
		})
		select {
		case err := <-gaveUp:
			t.Error(err)
		default:
		}
	})
}

func TestAppleCodeIsGivenUp(t *testing.T) {
	h := house.OnSQLite(t)
	t.Run("when it reveals another person", func(t *testing.T) {
		token := house.AppleToken("ada")
		token.CodeSubject = "eve"
		in := h.Enter(t, h.Request(t, h.Apple, token, house.Todo, ""))
		wantGivenUp(t, h, in, "another person")
	})
	t.Run("when Apple refuses it", func(t *testing.T) {
		r := h.Request(t, h.Apple, house.AppleToken("bob"), house.Todo, "")
		in := h.Enter(t, r)
		apple, _ := h.Providers.ByName("apple")
		if _, err := apple.RedeemAppleCode(t.Context(), house.Todo, r.Evidence.ProviderCode); err != nil {
			t.Fatal(err) // now it is spent
		}
		wantGivenUp(t, h, in, "invalid_grant")
	})
	t.Run("when Apple is down until it expires", func(t *testing.T) {
		in := h.Enter(t, h.Request(t, h.Apple, house.AppleToken("carol"), house.Todo, ""))
		h.Clock.Step(5*time.Minute - 2*time.Second)
		h.Apple.Behave(standin.Behaviour{Status: http.StatusServiceUnavailable})
		wantGivenUp(t, h, in, "503")
	})
}

// Who gave us no Apple key is not told of every sign-in that its code cannot be redeemed.
func TestWithoutAnAppleKeyNoCodeIsKept(t *testing.T) {
	h := house.OnSQLite(t)
	apple, err := upstream.New(upstream.Settings{Name: "apple", Type: "apple", Standin: h.Apple.URL()},
		fetch.New(fetch.Options{AllowLoopback: true}), h.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	if h.SignIn.Providers, err = upstream.NewSet(apple); err != nil {
		t.Fatal(err)
	}
	h.Enter(t, h.Request(t, h.Apple, house.AppleToken("ada"), house.Todo, ""))
	if n := rows(t, h)["outbox"]; n != 0 {
		t.Errorf("%d codes wait for a key that is not there", n)
	}
}

func wantGivenUp(t *testing.T, h *house.House, in *signin.Result, why string) {
	t.Helper()
	gaveUp := work(t, h)
	select {
	case err := <-gaveUp:
		if !strings.Contains(err.Error(), why) {
			t.Errorf("given up because of %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("not given up")
	}
	if granted(t, h, in.Session.AccountID) != 0 {
		t.Error("a grant was stored")
	}
	eventually(t, "the item to go", func() bool { return rows(t, h)["outbox"] == 0 })
}

// granted counts the grants stored for an account.
func granted(t *testing.T, h *house.House, acc domain.AccountID) (n int) {
	t.Helper()
	events, err := h.DB.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Action == "identity.grant" && e.AccountID == acc {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
