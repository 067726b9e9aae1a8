package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/accounthttp"
	"github.com/countersign/countersign/internal/adminhttp"
	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/backchannel"
	"github.com/countersign/countersign/internal/bearer"
	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauthhttp"
	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/upstream"
)

// rememberedProofs bounds the memory of DPoP proofs at our own APIs, to about 25 MB if it is ever full.
const rememberedProofs = 1 << 18

// openStore opens the database and makes sure that its schema is this release's.
func openStore(ctx context.Context, c *config.Config, o Options) (*store.DB, error) {
	db, err := store.Open(ctx, store.Options{URL: c.Database, MaxConns: c.DatabaseMaxConns, Clock: o.Clock})
	if err != nil {
		return nil, err
	}
	if err := prepareStore(ctx, db, o); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// warnOfLosses says what an operator must not overlook: a database that may forget what was acknowledged, and a recovery
// that is declared.
func (a *App) warnOfLosses(ctx context.Context) error {
	setting, err := a.db.Forgetful(ctx)
	if err != nil {
		return err
	}
	if setting != "" {
		a.log.Warn("the database may lose what it has acknowledged when it is killed: phones then hold refresh tokens "+
			"ahead of their rows, which are answered 503. Set it to on.", "setting", setting+" = off")
	}
	if until := a.config.RecoveryUntil; a.db.Now().Before(until) {
		a.log.Warn("recovery is declared: refresh tokens ahead of their rows are taken", "until", until.UTC().Format(time.RFC3339))
	}
	return nil
}

func prepareStore(ctx context.Context, db *store.DB, o Options) error {
	if err := prepareSchema(ctx, db, o); err != nil {
		return err
	}
	if o.Clock == nil {
		if _, err := db.MeasureClock(ctx); err != nil {
			return fmt.Errorf("compare clocks with the database: %w", err)
		}
	}
	if err := db.Ready(ctx); err != nil {
		return fmt.Errorf("the database is not ready: %w", err)
	}
	return nil
}

func prepareSchema(ctx context.Context, db *store.DB, o Options) error {
	if o.NoMigrate {
		if err := db.CheckSchema(ctx); err != nil {
			return fmt.Errorf("the database is not ready: %w", explained(err))
		}
		return nil
	}
	if _, err := migrate(ctx, db); err != nil {
		return fmt.Errorf("bring the database schema up to date: %w", err)
	}
	return nil
}

func openRing(ctx context.Context, c *config.Config, db *store.DB, o keyring.Options) (*keyring.Ring, error) {
	master, err := openMaster(c)
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Open(ctx, db, master, o)
	if err != nil {
		return nil, fmt.Errorf("open the keys: %w", err)
	}
	return ring, nil
}

// openMaster reads the master key; in dev mode it makes one where there is none.
func openMaster(c *config.Config) (*keyring.Master, error) {
	if c.MasterKey == "" && c.Dev {
		err := WriteMasterKey(c.MasterKeyFile)
		if err != nil && !errors.Is(err, fs.ErrExist) { // a process started beside us may have made it just now
			return nil, err
		}
		data, err := os.ReadFile(c.MasterKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the master key: %w", err)
		}
		c.MasterKey = config.Secret(data)
	}
	return keyring.ParseMaster([]byte(c.MasterKey))
}

// sayWhoRegisters: who may come in is worth a line of every start.
func (a *App) sayWhoRegisters() {
	for _, line := range a.config.Registrations() {
		a.log.Info(strings.TrimSpace(line))
	}
}

// fetchers makes the two clients of the server: one asks whom the operator names, the other fetches what clients point at,
// who may be anybody.
func (a *App) fetchers(o Options) {
	a.outbound = fetch.New(fetch.Options{AllowLoopback: a.config.AllowLoopback(), Roots: o.Roots})
	a.documents = fetch.New(fetch.Options{Allow: a.config.FetchNetworks(), Roots: o.Roots})
}

// build makes the providers and the services that need more than one door.
func (a *App) build() error {
	for _, s := range a.config.Upstream() {
		p, err := upstream.New(s, a.outbound, a.db.Now)
		if err != nil {
			return fmt.Errorf("provider %s: %w", s.Name, err)
		}
		p.KeysFailed = func(err error) { a.log.Warn("a provider's keys cannot be fetched", "provider", p.Name(), "cause", err) }
		a.providers = append(a.providers, p)
	}
	set, err := upstream.NewSet(a.providers...)
	if err != nil {
		return fmt.Errorf("providers: %w", err)
	}
	limits := a.config.Limits
	a.signIn = &signin.Service{
		DB: a.db, Keys: a.ring, Providers: set, Issuer: a.config.Issuer, FailuresPerMinute: limits.SignInFailuresPerMinute,
		Sessions: &session.Service{
			DB: a.db, Keys: a.ring, RecoverUntil: a.config.RecoveryUntil,
			RetriesPerMinute: limits.RefreshRetriesPerMinute, AdvancesPerMinute: limits.RefreshesPerMinute,
		},
		GaveUp: func(err error) { a.log.Warn("an Apple authorization code was given up", "cause", err) },
	}
	a.tokens = &token.Service{Issuer: a.config.Issuer, DB: a.db, Keys: a.ring, Sessions: a.signIn.Sessions}
	a.clients = &clientauth.Service{
		Catalog: a.catalog.Load, Failures: clientauth.NewLimiter(limits.AuthFailuresPerMinute), Now: a.db.Now,
		Issuer: a.config.Issuer, TokenURL: a.config.Issuer + "/token", DB: a.db, CA: a.authorities(), Fetch: a.documents,
	}
	if err := a.registrations(); err != nil {
		return err
	}
	a.tokens.Client = a.clients.Named
	a.farewells = &backchannel.Service{
		DB: a.db, Tokens: a.tokens, Client: a.clients.Named, Fetch: a.outbound, Strangers: a.documents, Pace: backchannel.NewPace(),
		GaveUp: func(err error) { a.log.Warn("a back-channel logout was given up", "cause", err) },
		Silent: func(err error) { a.log.Warn("a client takes no back-channel logouts", "cause", err) },
	}
	a.apiKeys = &apikey.Service{DB: a.db, Keys: a.ring}
	a.hosted, err = newHosted(a.config, a.log)
	return err
}

// doors of the public listener, and what its middleware needs from below them.
type doors struct {
	oauth   *oauthhttp.Door
	account *accounthttp.Door
	pages   *pages.Door
	clients *clientauth.Service
	nonces  *dpop.Nonces
}

func (a *App) doors() doors {
	issuer, sessions := a.config.Issuer, a.signIn.Sessions
	nonces := &dpop.Nonces{
		Key:     func(id uint32) ([]byte, bool) { return a.ring.Key(id, keyring.DPoPNonce) },
		Current: a.ring.Current,
	}
	proofs, seen := &dpop.Verifier{Nonces: nonces}, dpop.NewReplay(rememberedProofs)
	clients, tokens := a.clients, a.tokens
	presented := &bearer.Service{Tokens: tokens, DPoP: proofs, Replay: seen}
	grants := &grant.Service{
		Issuer: issuer, DB: a.db, Catalog: a.catalog.Load, Clients: clients,
		DPoP: proofs, Replay: seen, Sessions: sessions, SignIn: a.signIn, Tokens: tokens,
	}
	trips := a.trips(clients, tokens)
	trips.DPoP, trips.Replay = proofs, seen
	return doors{
		oauth: &oauthhttp.Door{
			Issuer: issuer, DB: a.db, Keys: a.ring, Clients: clients, Grant: grants, SignIn: a.signIn, Tokens: tokens, Bearer: presented,
			Flow: trips, Locales: a.hosted.look.Tags(), MTLS: a.mutualTLS(), Catalog: a.catalog.Load,
			Registration: a.registration,
		},
		pages:   &pages.Door{Issuer: issuer, Flow: trips, Look: a.hosted.look, Client: clients.Named, Button: a.button},
		account: &accounthttp.Door{Issuer: issuer, DB: a.db, Bearer: presented, SignIn: a.signIn, Client: clients.Named},
		clients: clients,
		nonces:  nonces,
	}
}

func (a *App) adminDoor() *adminhttp.Door {
	return &adminhttp.Door{DB: a.db, APIKeys: a.apiKeys, Ring: a.ring, Providers: a.signIn.Providers, SignIn: a.signIn}
}
