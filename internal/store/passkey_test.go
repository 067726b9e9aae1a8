package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/domain"
)

// newPasskey is a passkey for the account of a session.
func newPasskey(db *DB, s domain.Session) PasskeyAddition {
	l, id := newLink(db, s), newID()
	l.Identity.Provider, l.Identity.Issuer, l.Identity.Subject = "passkey", domain.PasskeyIssuer, base64.RawURLEncoding.EncodeToString(id[:])
	return PasskeyAddition{
		Now: l.Now, Nonces: l.Nonces, SessionID: s.ID, Identity: l.Identity, Event: l.Event,
		Passkey: domain.Passkey{CredentialID: id[:], Record: json.RawMessage(`{"b": 1, "a":2}`), SignCount: 4_000_000_000,
			Name: "Ada's phone", CreatedAt: l.Now, LastUsedAt: l.Now},
	}
}

func mustAddPasskey(t testing.TB, db *DB, a PasskeyAddition, want LinkVerdict) domain.Passkey {
	t.Helper()
	verdict, err := db.AddPasskey(t.Context(), a)
	if err != nil || verdict != want {
		t.Fatalf("verdict %d, want %d (%v)", verdict, want, err)
	}
	p := a.Passkey
	p.IdentityID, p.AccountID = a.Identity.ID, a.Identity.AccountID
	return p
}

// usesPasskey signs in with a passkey whose counter is at count.
func usesPasskey(t testing.TB, db *DB, a PasskeyAddition, count uint32) BrowserSignIn {
	in := newBrowserSignIn(t, db)
	in.NewIdentity.Provider, in.NewIdentity.Issuer, in.NewIdentity.Subject = "passkey", a.Identity.Issuer, a.Identity.Subject
	in.Passkey = &PasskeyUse{CredentialID: a.Passkey.CredentialID, SignCount: count, Record: json.RawMessage(`{"c":3}`), LastUsedAt: in.Now}
	return in
}

func TestAPasskeyIsAnIdentityWithACredential(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, other := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		a := newPasskey(db, s)
		want := mustAddPasskey(t, db, a, Linked)
		got, err := db.PasskeyByCredential(t.Context(), a.Passkey.CredentialID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Error(diff)
		}
		mustAddPasskey(t, db, newPasskey(db, s), Linked)
		if list, err := db.Passkeys(t.Context(), s.AccountID); err != nil || len(list) != 2 || len(mustIdentities(t, db, s.AccountID)) != 3 {
			t.Errorf("%+v (%v)", list, err)
		}
		for _, c := range []struct {
			name  string
			alter func(*PasskeyAddition)
			want  LinkVerdict
		}{
			{"a spent nonce", func(n *PasskeyAddition) { n.Nonces = a.Nonces }, LinkNonceSpent},
			{"the same credential", func(n *PasskeyAddition) { n.Identity.Subject = a.Identity.Subject }, AlreadyLinked},
			{"somebody else's credential", func(n *PasskeyAddition) {
				n.Identity.Subject, n.Identity.AccountID, n.SessionID = a.Identity.Subject, other.AccountID, other.ID
			}, LinkedToOther},
			{"another account's session", func(n *PasskeyAddition) { n.SessionID = other.ID }, LinkAccountNotLive},
		} {
			n := newPasskey(db, s)
			c.alter(&n)
			if verdict, err := db.AddPasskey(t.Context(), n); err != nil || verdict != c.want {
				t.Errorf("%s: verdict %d, want %d (%v)", c.name, verdict, c.want, err)
			}
		}
		if n := mustRows(t, db)["passkeys"]; n != 2 {
			t.Errorf("%d passkeys", n)
		}
	})
}

func TestABrowserAddsPasskeysWhileItIsSignedIn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, other := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		b := mustBrowser(t, db, s)
		asks := func(of domain.Session, id domain.BrowserID) PasskeyAddition {
			a := newPasskey(db, of)
			a.SessionID, a.BrowserID, a.Nonces = domain.SessionID{}, id, nil
			return a
		}
		mustAddPasskey(t, db, asks(s, b.ID), Linked)
		mustAddPasskey(t, db, asks(other, b.ID), LinkAccountNotLive)
		mustAddPasskey(t, db, asks(s, domain.BrowserID(newID())), LinkAccountNotLive)
		mustAddPasskey(t, db, asks(s, domain.BrowserID{}), LinkAccountNotLive) // nobody asks
		mustEndBrowser(t, db, b.ID, 0)
		mustAddPasskey(t, db, asks(s, b.ID), LinkAccountNotLive)
		if n := mustRows(t, db)["passkeys"]; n != 1 {
			t.Errorf("%d passkeys", n)
		}
	})
}

func TestAPasskeyIsRenamedByItsOwner(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s, other := mustSignIn(t, db, newSignIn(db)), mustSignIn(t, db, newSignIn(db))
		p := mustAddPasskey(t, db, newPasskey(db, s), Linked)
		if err := db.RenamePasskey(t.Context(), other.AccountID, p.IdentityID, "mine"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := db.RenamePasskey(t.Context(), s.AccountID, p.IdentityID, "Tablet"); err != nil {
			t.Error(err)
		}
		if list, err := db.Passkeys(t.Context(), s.AccountID); err != nil || len(list) != 1 || list[0].Name != "Tablet" {
			t.Errorf("%+v (%v)", list, err)
		}
	})
}

func TestAnUnlinkedPasskeyIsGone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		a := newPasskey(db, s)
		p := mustAddPasskey(t, db, a, Linked)
		mustUnlink(t, db, unlink(db, s, p.IdentityID), Unlinked)
		if _, err := db.PasskeyByCredential(t.Context(), p.CredentialID); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		refusedBrowser(t, db, "unlinked", usesPasskey(t, db, a, p.SignCount+1), UnknownIdentity, 0)
	})
}

func TestAPasskeySignsInAndCounts(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		a := newPasskey(db, s)
		a.Passkey.SignCount = 0
		p := mustAddPasskey(t, db, a, Linked)
		for _, c := range []struct {
			count uint32
			want  BrowserVerdict
		}{
			{0, BrowserSignedIn}, // one that does not count
			{0, BrowserSignedIn},
			{3, BrowserSignedIn},
			{3, PasskeyCloned},
			{2, PasskeyCloned},
			{0, PasskeyCloned},
			{4_294_967_295, BrowserSignedIn},
		} {
			in := usesPasskey(t, db, a, c.count)
			if c.want == PasskeyCloned {
				refusedBrowser(t, db, "a clone", in, PasskeyCloned, 1)
				continue
			}
			if got := mustSignInBrowser(t, db, in, c.want); got.Flow.AccountID != s.AccountID || got.Flow.IdentityID != p.IdentityID {
				t.Errorf("%+v", got)
			}
			used, err := db.PasskeyByCredential(t.Context(), p.CredentialID)
			if err != nil || used.SignCount != c.count || string(used.Record) != `{"c":3}` || !used.LastUsedAt.Equal(in.Now) {
				t.Errorf("%+v (%v)", used, err)
			}
		}
		events, err := db.Events(t.Context(), s.AccountID, domain.SessionID{}, 2)
		if err != nil || events[1].Action != "passkey.clone" || events[1].Reason != p.IdentityID.String() || events[1].Actor != "system" {
			t.Errorf("%+v (%v)", events, err)
		}
		unknown := usesPasskey(t, db, newPasskey(db, s), 1)
		refusedBrowser(t, db, "nobody's", unknown, UnknownIdentity, 0)
		another := usesPasskey(t, db, a, 4_294_967_295)
		another.Expected = only(domain.AccountID(newID()))
		refusedBrowser(t, db, "before its counter is looked at", another, OtherAccount, 0)
	})
}

func TestOfParallelUsesOfOneAssertionOneSignsIn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *DB) {
		s := mustSignIn(t, db, newSignIn(db))
		a := newPasskey(db, s)
		mustAddPasskey(t, db, a, Linked)
		list := make([]BrowserSignIn, 10)
		for i := range list {
			list[i] = usesPasskey(t, db, a, a.Passkey.SignCount+1)
		}
		verdicts := browserVerdicts(t, db, len(list), func(i int) BrowserSignIn { return list[i] })
		if verdicts[BrowserSignedIn] != 1 || verdicts[PasskeyCloned] != len(list)-1 {
			t.Errorf("in trips of their own: %v", verdicts)
		}
		same := usesPasskey(t, db, a, a.Passkey.SignCount+2) // a form sent twice is no clone
		verdicts = browserVerdicts(t, db, 10, func(int) BrowserSignIn { return same })
		if verdicts[BrowserSignedIn] != 1 || verdicts[FlowMovedOn] != 9 {
			t.Errorf("in one trip: %v", verdicts)
		}
	})
}
