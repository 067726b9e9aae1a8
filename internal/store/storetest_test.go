package store

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/pgcluster"
)

// The conformance suite runs on both engines; what only one has is in its own file.

var engines = []struct {
	name string
	url  func(t testing.TB) string
}{
	{"sqlite", func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "store.db") }},
	{"postgres", pgcluster.Shared},
}

// onEachEngine runs a test against a migrated database with the clients app and other.
func onEachEngine(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Helper()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, migrated(t, Options{URL: e.url(t)})) })
	}
}

func migrated(t testing.TB, o Options) *DB {
	t.Helper()
	db := opened(t, o)
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.PutCatalog(t.Context(), smallCatalog()); err != nil {
		t.Fatal(err)
	}
	return db
}

func opened(t testing.TB, o Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return db
}

func smallCatalog() domain.Catalog {
	return domain.Catalog{Clients: []domain.Client{{ID: "app", Type: domain.ClientNative}, {ID: "other", Type: domain.ClientNative}}}
}

// catalogRows is how many rows of the trail smallCatalog leaves.
const catalogRows = 2

func sum() (h [32]byte) {
	_, _ = rand.Read(h[:])
	return h
}

// newSignIn is a first sign-in of somebody, bound to a key.
func newSignIn(db *DB) SignIn {
	now := db.Now()
	jkt := rand.Text()
	return SignIn{
		Now:        now,
		Nonce:      Nonce{Hash: sum(), ExpiresAt: now.Add(10 * time.Minute), Fingerprint: sum(), KeyID: 7},
		NewAccount: domain.Account{ID: domain.AccountID(newID()), State: domain.AccountActive, CreatedAt: now},
		NewIdentity: domain.Identity{
			ID: domain.IdentityID(newID()), Provider: "google", Issuer: "https://accounts.google.com", Subject: rand.Text(),
			Email: "ada@example.com", EmailVerified: true, Name: "Ada", CreatedAt: now, LastUsedAt: now,
		},
		NewDevice: domain.Device{ID: domain.DeviceID(newID()), ClientID: "app", JKT: jkt, Name: "Ada's phone", CreatedAt: now},
		Session: domain.Session{
			ID: domain.SessionID(newID()), ClientID: "app", DeviceName: "Ada's phone", Tier: domain.TierBound, JKT: jkt,
			Scope: []string{"openid", "offline_access"}, Resources: []string{"https://api.example.com"},
			CreatedAt: now, AuthTime: now.Add(-time.Second), State: domain.SessionLive,
			IdleExpiresAt: now.Add(90 * day), IdleFor: 90 * day,
			Refresh: domain.Refresh{SecretHash: sum(), KeyID: 7, Format: 1, RotatedAt: now},
		},
		Event: domain.Event{RequestID: "req-1", IP: "192.0.2.0"},
	}
}

// again is the next sign-in of the same person: a new nonce, session and device, the same identity.
func again(db *DB, first SignIn) SignIn {
	s := newSignIn(db)
	s.NewIdentity.Issuer, s.NewIdentity.Subject = first.NewIdentity.Issuer, first.NewIdentity.Subject
	return s
}

func newID() [16]byte { return [16]byte([]byte(rand.Text()[:16])) }

// bearer makes the session of a sign-in one without a key.
func bearer(s SignIn) SignIn {
	s.NewDevice, s.Session.JKT, s.Session.Tier = domain.Device{}, "", domain.TierBearer
	return s
}

func mustSignIn(t testing.TB, db *DB, s SignIn) domain.Session {
	t.Helper()
	result, err := db.SignIn(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if result.Verdict != SignedIn {
		t.Fatalf("sign-in: verdict %d", result.Verdict)
	}
	return result.Session
}

// rotation presents the newest refresh token of a session.
func rotation(db *DB, s domain.Session) Rotation {
	return Rotation{
		Now: db.Now(), SessionID: s.ID, ClientID: s.ClientID, Counter: s.Refresh.Counter, SecretHash: s.Refresh.SecretHash,
		JKT: s.JKT, KeyID: 8, Format: 2,
	}
}

func mustRotate(t testing.TB, db *DB, r Rotation) RotationResult {
	t.Helper()
	result, err := db.RotateRefresh(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func mustSession(t testing.TB, db *DB, id domain.SessionID) domain.SessionView {
	t.Helper()
	v, err := db.Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return *v
}

// actions returns what the trail of an account says, oldest first.
func actions(t testing.TB, db *DB, acc domain.AccountID) (list []string) {
	t.Helper()
	events, err := db.Events(t.Context(), acc, domain.SessionID{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		list = append([]string{e.Action}, list...)
	}
	return list
}

// atOnce calls f n times in parallel.
func atOnce(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// spend consumes a nonce on its own.
func spend(t testing.TB, db *DB, n Nonce, want bool) {
	t.Helper()
	fresh, err := write(context.Background(), db, single, func(ctx context.Context, q queryer) (bool, error) {
		return consume(ctx, q, n, db.Now(), domain.SessionID{})
	})
	if err != nil || fresh != want {
		t.Fatalf("fresh %t, want %t (%v)", fresh, want, err)
	}
}

// run executes a statement no method has.
func run(t testing.TB, db *DB, statement string, args ...any) {
	t.Helper()
	_, err := write(context.Background(), db, alone, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, statement, args...)
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
