package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/pages"
	"github.com/countersign/countersign/internal/store"
)

// The functions of this file are what the command line does beside a server: they need the database and the master
// key, not a running process.

// actor is who the audit trail names for them.
const actor = "command line"

// CheckDatabase tells what is wrong with the URL of a database, in a sentence without its password, and does not
// connect: it is what config.Load asks, which knows no driver.
func CheckDatabase(url string) error { return store.CheckURL(url) }

// CheckPages tells what is wrong with the files that replace those of the pages.
func CheckPages(c *config.Config) error {
	if _, err := pages.NewLook(c.Pages.Folder); err != nil {
		return fmt.Errorf("pages.folder: %w", err)
	}
	return nil
}

// Migrate brings the schema of the configured database to this release and returns how many steps ran.
func Migrate(ctx context.Context, c *config.Config) (steps int, err error) {
	db, err := store.Open(ctx, store.Options{URL: c.Database, MaxConns: c.DatabaseMaxConns})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return migrate(ctx, db)
}

// migrate says what to do about a schema of a release to come.
func migrate(ctx context.Context, db *store.DB) (steps int, err error) {
	steps, err = db.Migrate(ctx)
	return steps, explained(err)
}

// explained adds the remedy to what an operator can mend.
func explained(err error) error {
	if errors.Is(err, store.ErrNewerSchema) {
		return fmt.Errorf("%w; start the release that made it, or a later one", err)
	}
	return err
}

// MasterKeyLine makes a line for a master key file.
func MasterKeyLine() string { return keyring.NewMasterLine() }

// WriteMasterKey writes a new master key to a file of its own, readable by its owner alone. It never overwrites one:
// the error then wraps fs.ErrExist.
func WriteMasterKey(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the master key: %w", err)
	}
	_, err = fmt.Fprintf(f, "# Countersign master key. Keep a copy outside the database: without it, everybody must sign in again.\n%s\n", MasterKeyLine())
	return errors.Join(err, f.Sync(), f.Close())
}

// APIKeyScopes lists what an API key may be allowed.
func APIKeyScopes() []string { return apikey.Scopes() }

// NewAPIKey makes an API key. Its text is shown once and cannot be had again.
func NewAPIKey(ctx context.Context, c *config.Config, name string, scopes []string) (text string, key *domain.APIKey, err error) {
	err = withAPIKeys(ctx, c, func(s *apikey.Service) error {
		minted, k, err := s.Mint(ctx, name, scopes, domain.Event{Actor: actor})
		text, key = string(minted), k
		return err
	})
	return text, key, err
}

// APIKeys lists the API keys, newest first, revoked ones too.
func APIKeys(ctx context.Context, c *config.Config) (keys []domain.APIKey, err error) {
	err = withAPIKeys(ctx, c, func(s *apikey.Service) error {
		keys, err = s.List(ctx)
		return err
	})
	return keys, err
}

// ErrNoSuchAPIKey is returned by RevokeAPIKey.
var ErrNoSuchAPIKey = errors.New("there is no API key of this id; list them with: countersign api-key list")

// RevokeAPIKey ends an API key on every node.
func RevokeAPIKey(ctx context.Context, c *config.Config, id string) error {
	var parsed domain.APIKeyID
	if err := parsed.UnmarshalText([]byte(id)); err != nil || parsed.IsZero() {
		return ErrNoSuchAPIKey
	}
	err := withAPIKeys(ctx, c, func(s *apikey.Service) error { return s.Revoke(ctx, parsed, domain.Event{Actor: actor}) })
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSuchAPIKey
	}
	return err
}

// withAPIKeys opens database and keys for one command. Only in dev mode does it touch the schema: elsewhere that is
// for serve and migrate, which know that all nodes are of one release.
func withAPIKeys(ctx context.Context, c *config.Config, do func(*apikey.Service) error) (err error) {
	db, err := openStore(ctx, c, Options{NoMigrate: !c.Dev})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ring, err := openRing(ctx, c, db, keyring.Options{})
	if err != nil {
		return err
	}
	return do(&apikey.Service{DB: db, Keys: ring})
}
