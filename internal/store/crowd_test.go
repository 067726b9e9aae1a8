package store

import (
	"context"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// TestACrowdGetsThroughAPoolOfTwo calls every method from 64 goroutines over two connections. A method that asked
// for a second connection while it holds one would stop here for ever.
func TestACrowdGetsThroughAPoolOfTwo(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			db := migrated(t, Options{URL: e.url(t), MaxConns: 2})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			for _, m := range crowdMethods(ctx, t, db) {
				atOnce(64, func(i int) {
					if err := m.call(i); err != nil {
						t.Errorf("%s: %v", m.name, err)
					}
				})
			}
			atOnce(64, func(i int) { // and all of them mixed
				methods := crowdMethods(ctx, t, db)
				for n := range methods {
					m := methods[(n+i)%len(methods)]
					if err := m.call(i); err != nil {
						t.Errorf("%s: %v", m.name, err)
					}
				}
			})
		})
	}
}

type crowdMethod struct {
	name string
	call func(i int) error
}

func crowdMethods(ctx context.Context, t *testing.T, db *DB) []crowdMethod {
	first := newSignIn(db)
	s := mustSignIn(t, db, first)
	acc := s.AccountID
	var none domain.Event
	apiKey := domain.APIKeyID(newID())
	if err := db.AddAPIKey(ctx, domain.APIKey{ID: apiKey}, none); err != nil {
		t.Fatal(err)
	}
	key := newKey(db, 100, "ES256")
	return []crowdMethod{
		{"Migrate", func(int) error { _, err := db.Migrate(ctx); return err }},
		{"Ready", func(int) error { return db.Ready(ctx) }},
		{"MeasureClock", func(int) error { _, err := db.MeasureClock(ctx); return err }},
		{"PutCatalog", func(int) error { return db.PutCatalog(ctx, smallCatalog()) }},
		{"Catalog", func(int) error { _, err := db.Catalog(ctx); return err }},
		{"CatalogVersion", func(int) error { _, err := db.CatalogVersion(ctx); return err }},
		{"SetClientDisabled", func(i int) error { return db.SetClientDisabled(ctx, "other", i%2 == 0, none) }},
		{"ClientState", func(int) error { _, err := db.ClientState(ctx, "app"); return err }},
		{"SignIn first", func(int) error { _, err := db.SignIn(ctx, newSignIn(db)); return err }},
		{"SignIn again", func(int) error { _, err := db.SignIn(ctx, again(db, first)); return err }},
		{"SignIn repeated", func(int) error { _, err := db.SignIn(ctx, first); return err }},
		{"RotateRefresh", func(int) error { _, err := db.RotateRefresh(ctx, rotation(db, s)); return err }},
		{"MarkLateRetry", func(int) error { _, err := db.MarkLateRetry(ctx, s.ID, 1); return err }},
		{"Session", func(int) error { _, err := db.Session(ctx, s.ID); return err }},
		{"AccountSessions", func(int) error { _, err := db.AccountSessions(ctx, acc, true); return err }},
		{"Account", func(int) error { _, err := db.Account(ctx, acc); return err }},
		{"AccountByIdentity", func(int) error {
			_, err := db.AccountByIdentity(ctx, first.NewIdentity.Issuer, first.NewIdentity.Subject)
			return err
		}},
		{"Accounts", func(int) error { _, err := db.Accounts(ctx, acc, 10); return err }},
		{"SetAccountState", func(int) error { _, err := db.SetAccountState(ctx, acc, domain.AccountActive, none); return err }},
		{"Identities", func(int) error { _, err := db.Identities(ctx, acc); return err }},
		{"LinkIdentity", func(int) error { _, _, err := db.LinkIdentity(ctx, newLink(db, s)); return err }},
		{"UnlinkIdentity", func(int) error { _, err := db.UnlinkIdentity(ctx, unlink(db, s, s.IdentityID)); return err }},
		{"RepeatedSignIn", func(int) error { _, err := db.RepeatedSignIn(ctx, db.Now(), first.Nonce); return err }},
		{"ClaimOutbox", func(int) error { _, err := db.ClaimOutbox(ctx, db.Now(), time.Minute, 3); return err }},
		{"RetryOutbox", func(i int) error { return db.RetryOutbox(ctx, int64(i), db.Now()) }},
		{"FinishOutbox", func(i int) error { return db.FinishOutbox(ctx, int64(i), nil, none) }},
		{"AddKey", func(int) error { _, err := db.AddKey(ctx, key, time.Time{}, &RetireKeys{}, none); return err }},
		{"Keys", func(int) error { _, err := db.Keys(ctx); return err }},
		{"RewrapKey", func(int) error { return db.RewrapKey(ctx, key.ID, key.Sealed, key.Sealed) }},
		{"AdvanceKey", func(int) error { _, err := db.AdvanceKey(ctx, key, RetireKeys{}, none); return err }},
		{"DropKey", func(int) error { return db.DropKey(ctx, KeyDrop{ID: key.ID, At: db.Now()}, none) }},
		{"AddAPIKey", func(int) error { return db.AddAPIKey(ctx, domain.APIKey{ID: domain.APIKeyID(newID())}, none) }},
		{"APIKey", func(int) error { _, err := db.APIKey(ctx, apiKey); return err }},
		{"APIKeys", func(int) error { _, err := db.APIKeys(ctx); return err }},
		{"TouchAPIKey", func(int) error { return db.TouchAPIKey(ctx, apiKey, db.Now()) }},
		{"RevokeAPIKey", func(int) error { return db.RevokeAPIKey(ctx, apiKey, none) }},
		{"Events", func(int) error { _, err := db.Events(ctx, acc, s.ID, 10); return err }},
		{"Sweep", func(int) error { _, err := db.Sweep(ctx, db.Now()); return err }},
		{"Rows", func(int) error { _, err := db.Rows(ctx); return err }},
		{"EndSession", func(int) error { _, err := db.EndSession(ctx, s.ID, domain.EndedByUser, none); return err }},
		{"EndAccountSession", func(int) error {
			_, err := db.EndAccountSession(ctx, acc, s.ID, domain.EndedByUser, none)
			return err
		}},
		{"EndAccountSessions", func(int) error {
			_, err := db.EndAccountSessions(ctx, acc, s.ID, domain.EndedByUser, none)
			return err
		}},
	}
}
