package store

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

func TestAFirstSignInMakesAccountIdentityDeviceAndSession(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		in := newSignIn(db)
		in.Outbox = []OutboxItem{{Kind: "apple.redeem", AAD: "outbox/1", Payload: []byte("sealed"), ExpiresAt: in.Now.Add(5 * time.Minute)}}
		got, err := db.SignIn(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		want := in.Session
		want.AccountID, want.IdentityID, want.DeviceID = in.NewAccount.ID, in.NewIdentity.ID, in.NewDevice.ID
		if diff := cmp.Diff(SignInResult{Verdict: SignedIn, Session: want, NewAccount: true}, got); diff != "" {
			t.Fatal(diff)
		}
		view := domain.SessionView{Session: want, AccountState: domain.AccountActive, ClientState: domain.ClientLive}
		if diff := cmp.Diff(view, mustSession(t, db, want.ID)); diff != "" {
			t.Error(diff)
		}
		acc, err := db.AccountByIdentity(t.Context(), in.NewIdentity.Issuer, in.NewIdentity.Subject)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in.NewAccount, *acc); diff != "" {
			t.Error(diff)
		}
		identity := in.NewIdentity
		identity.AccountID = acc.ID
		if diff := cmp.Diff([]domain.Identity{identity}, mustIdentities(t, db, acc.ID)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"account.create", "identity.link", "session.start"}, actions(t, db, acc.ID)); diff != "" {
			t.Error(diff)
		}
		items, err := db.ClaimOutbox(t.Context(), db.Now(), time.Minute, 5)
		if err != nil || len(items) != 1 || items[0].IdentityID != in.NewIdentity.ID || string(items[0].Payload) != "sealed" {
			t.Errorf("outbox %+v (%v)", items, err)
		}
	})
}

func mustIdentities(t testing.TB, db *DB, acc domain.AccountID) []domain.Identity {
	t.Helper()
	list, err := db.Identities(t.Context(), acc)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAReturningIdentityGetsItsAccountAndDevice(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		first.NewIdentity.Email, first.NewIdentity.EmailVerified, first.NewIdentity.Name = "", false, ""
		one := mustSignIn(t, db, first)
		second := again(db, first)
		second.Session.AMR, second.Session.Claims, second.Session.Notify = []string{"fed"}, []string{"email"}, true
		second.NewDevice.JKT, second.NewDevice.Name, second.Session.JKT = first.NewDevice.JKT, "Renamed", first.NewDevice.JKT
		second.Outbox = []OutboxItem{
			{Kind: "apple.redeem", AAD: "a", Payload: []byte("1"), ExpiresAt: second.Now.Add(time.Minute)},
			{Kind: "apple.redeem", AAD: "b", Payload: []byte("2"), ExpiresAt: second.Now.Add(time.Minute)},
		}
		got, err := db.SignIn(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		want := second.Session
		want.AccountID, want.IdentityID, want.DeviceID = one.AccountID, one.IdentityID, one.DeviceID
		if diff := cmp.Diff(SignInResult{Verdict: SignedIn, Session: want}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, mustSession(t, db, want.ID).Session); diff != "" {
			t.Error("the row", diff)
		}
		identities := mustIdentities(t, db, one.AccountID)
		if len(identities) != 1 || identities[0].Email != "ada@example.com" || !identities[0].EmailVerified ||
			identities[0].Name != "Ada" || !identities[0].LastUsedAt.Equal(second.Now) {
			t.Errorf("what was empty is not filled: %+v", identities)
		}
		events, err := db.Events(t.Context(), one.AccountID, got.Session.ID, 10)
		if err != nil {
			t.Fatal(err)
		}
		wantEvent := domain.Event{
			At: second.Now, Action: "session.start", Actor: "account " + one.AccountID.String(), AccountID: one.AccountID,
			SessionID: want.ID, ClientID: "app", RequestID: "req-1", IP: "192.0.2.0",
		}
		if diff := cmp.Diff([]domain.Event{wantEvent}, events); diff != "" {
			t.Error(diff)
		}
		if items, err := db.ClaimOutbox(t.Context(), db.Now(), time.Minute, 5); err != nil || len(items) != 2 || items[0].IdentityID != one.IdentityID {
			t.Errorf("outbox %+v (%v)", items, err)
		}
	})
}

func TestAnEMailThatChangesAtTheProviderIsNotTaken(t *testing.T) { // ID14
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		s := mustSignIn(t, db, first)
		second := again(db, first)
		second.NewIdentity.Email, second.NewIdentity.EmailVerified, second.NewIdentity.Name = "victim@example.com", false, "Victim"
		mustSignIn(t, db, second)
		if i := mustIdentities(t, db, s.AccountID)[0]; i.Email != "ada@example.com" || !i.EmailVerified || i.Name != "Ada" {
			t.Errorf("%+v", i)
		}
	})
}

func TestANonceSignsInOnce(t *testing.T) { // ID09
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		s := mustSignIn(t, db, first)
		rows := mustRows(t, db)
		for _, c := range []struct {
			name string
			in   func() SignIn
			want SignInVerdict
		}{
			{"the very same request", func() SignIn { return first }, SignInRepeated},
			{"another fingerprint", func() SignIn { in := first; in.Nonce.Fingerprint = sum(); return in }, NonceSpent},
			{"no fingerprint", func() SignIn { in := first; in.Nonce.Fingerprint = [32]byte{}; return in }, NonceSpent},
			{"after a minute", func() SignIn { in := first; in.Now = in.Now.Add(time.Minute); return in }, NonceSpent},
			{"within the minute", func() SignIn { in := first; in.Now = in.Now.Add(59 * time.Second); return in }, SignInRepeated},
			{"another person", func() SignIn {
				in := newSignIn(db)
				in.Nonce.Hash = first.Nonce.Hash
				return in
			}, NonceSpent},
		} {
			got, err := db.SignIn(t.Context(), c.in())
			if err != nil || got.Verdict != c.want {
				t.Errorf("%s: verdict %d, want %d (%v)", c.name, got.Verdict, c.want, err)
			}
			if got.Verdict == SignInRepeated && (got.Session.ID != s.ID || got.KeyID != first.Nonce.KeyID) {
				t.Errorf("%s: session %s, key %d", c.name, got.Session.ID, got.KeyID)
			}
		}
		if diff := cmp.Diff(rows, mustRows(t, db)); diff != "" {
			t.Error("rows changed", diff)
		}
	})
}

func TestARepeatIsRefusedOnceTheSessionMovedOn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		for name, move := range map[string]func(domain.Session) error{
			"rotated": func(s domain.Session) error {
				_, err := db.RotateRefresh(t.Context(), rotation(db, s))
				return err
			},
			"ended": func(s domain.Session) error {
				_, err := db.EndSession(t.Context(), s.ID, domain.EndedByUser, domain.Event{})
				return err
			},
			"account disabled": func(s domain.Session) error {
				_, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{})
				return err
			},
		} {
			in := newSignIn(db)
			if err := move(mustSignIn(t, db, in)); err != nil {
				t.Fatal(err)
			}
			if got, err := db.SignIn(t.Context(), in); err != nil || got.Verdict != NonceSpent {
				t.Errorf("%s: verdict %d (%v)", name, got.Verdict, err)
			}
		}
	})
}

func mustRows(t testing.TB, db *DB) map[string]int64 {
	t.Helper()
	rows, err := db.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestARefusedSignInSpendsItsNonceAndNothingElse(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		known, other := newSignIn(db), newSignIn(db)
		s := mustSignIn(t, db, known)
		mustSignIn(t, db, other) // whose account stays in use
		if _, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		refused := func(name string, in SignIn, want SignInVerdict) {
			t.Helper()
			before := mustRows(t, db)
			for _, v := range []SignInVerdict{want, NonceSpent} {
				if got, err := db.SignIn(t.Context(), in); err != nil || got.Verdict != v {
					t.Errorf("%s: verdict %d, want %d (%v)", name, got.Verdict, v, err)
				}
			}
			before["nonces"]++
			if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
				t.Error(name, diff)
			}
		}
		refused("a disabled account", again(db, known), AccountNotLive)
		if err := db.SetClientDisabled(t.Context(), "app", true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		refused("a disabled client, known person", again(db, other), ClientNotLive) // RT15
		refused("both disabled", again(db, known), ClientNotLive)
		refused("a disabled client, new person", newSignIn(db), ClientNotLive)
	})
}

// Nobody declares the client: it is as unknown as one never heard of, and a sign-in of a moment later may still succeed.
func TestASignInToAnUndeclaredClientSpendsNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		known := newSignIn(db)
		s := mustSignIn(t, db, known)
		later := again(db, known)
		refused := func(name string, in SignIn) {
			t.Helper()
			before := mustRows(t, db)
			if got, err := db.SignIn(t.Context(), in); err != nil || got.Verdict != ClientUnknown {
				t.Errorf("%s: verdict %d (%v)", name, got.Verdict, err)
			}
			if diff := cmp.Diff(before, mustRows(t, db)); diff != "" {
				t.Error(name, diff)
			}
		}
		unknown := newSignIn(db)
		unknown.Session.ClientID = "never heard of"
		refused("never heard of", unknown)
		mustPut(t, db, domain.Catalog{})
		refused("known person", later)
		refused("new person", newSignIn(db))
		refused("the repeat of a sign-in", known)
		if err := db.SetClientDisabled(t.Context(), "app", true, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		refused("disabled as well", later)
		if _, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountDisabled, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		refused("and so is the account", later)
		if _, err := db.SetAccountState(t.Context(), s.AccountID, domain.AccountActive, domain.Event{}); err != nil {
			t.Fatal(err)
		}
		restoreClients(t, db)
		mustSignIn(t, db, later)
	})
}

func TestParallelSignInsWithOneNonceMakeOneSession(t *testing.T) {
	for _, known := range []bool{false, true} {
		onEachEngine(t, func(t *testing.T, db *DB) {
			in := newSignIn(db)
			if known {
				mustSignIn(t, db, in)
				in = again(db, in)
			}
			verdicts := verdictsOf(t, db, 30, func(i int) SignIn {
				mine := in
				mine.Session.ID = domain.SessionID(newID())
				if i%2 == 0 {
					mine.Nonce.Fingerprint = sum()
				}
				return mine
			})
			if n := count(verdicts, SignedIn); n != 1 {
				t.Errorf("%d signed in", n)
			}
			want := int64(1)
			if known {
				want = 2
			}
			if rows := mustRows(t, db); rows["sessions"] != want || rows["accounts"] != 1 {
				t.Errorf("%d sessions, %d accounts", rows["sessions"], rows["accounts"])
			}
		})
	}
}

func verdictsOf(t *testing.T, db *DB, n int, in func(i int) SignIn) (verdicts []SignInVerdict) {
	var mu sync.Mutex
	atOnce(n, func(i int) {
		got, err := db.SignIn(t.Context(), in(i))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		verdicts = append(verdicts, got.Verdict)
	})
	return verdicts
}

func count(verdicts []SignInVerdict, v SignInVerdict) int {
	return len(slices.DeleteFunc(slices.Clone(verdicts), func(x SignInVerdict) bool { return x != v }))
}

func TestParallelFirstSignInsOfOneIdentityMakeOneAccount(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		verdicts := verdictsOf(t, db, 30, func(int) SignIn { return again(db, first) })
		if n := count(verdicts, SignedIn); n != 30 {
			t.Errorf("%d signed in", n)
		}
		rows := mustRows(t, db)
		if rows["accounts"] != 1 || rows["identities"] != 1 || rows["sessions"] != 30 || rows["events"] != catalogRows+32 {
			t.Errorf("rows %v", rows)
		}
	})
}

func TestParallelSignInsOnOneDeviceShareItsRow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		first := newSignIn(db)
		verdicts := verdictsOf(t, db, 20, func(int) SignIn {
			in := newSignIn(db)
			in.NewDevice.JKT, in.Session.JKT = first.NewDevice.JKT, first.NewDevice.JKT
			return in
		})
		if rows := mustRows(t, db); rows["devices"] != 1 || rows["accounts"] != 20 || count(verdicts, SignedIn) != 20 {
			t.Errorf("rows %v", rows)
		}
	})
}

func TestANonceIsConsumedOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		n := Nonce{Hash: sum(), ExpiresAt: db.Now().Add(time.Minute)}
		spend(t, db, n, true)
		spend(t, db, n, false)
		if got, err := db.SignIn(t.Context(), func() SignIn { in := newSignIn(db); in.Nonce.Hash = n.Hash; return in }()); err != nil || got.Verdict != NonceSpent {
			t.Errorf("verdict %d (%v)", got.Verdict, err)
		}
	})
}

func TestSessionIsNotFound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		if _, err := db.Session(t.Context(), domain.SessionID(newID())); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
}
