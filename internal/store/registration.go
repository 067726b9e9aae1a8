package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// Registration is the row of a client that registered itself.
type Registration struct {
	Client   domain.Client
	Metadata string // as it is registered: a JSON object

	// Of a client that is named by its document.
	FetchedAt  time.Time
	FreshUntil time.Time
}

// RegisteredClient reads a client that registered itself. Whether it may be used now is its ClientState. ErrNotFound.
func (db *DB) RegisteredClient(ctx context.Context, id string) (*domain.Client, error) {
	r, err := readRegistration(ctx, db.reader, "id = $1", id)
	if err != nil {
		return nil, fmt.Errorf("read registered client: %w", err)
	}
	return &r.Client, nil
}

// RegisteredDocument reads a client that is named by its document, whether or not an operator switched it off.
// ErrNotFound.
func (db *DB) RegisteredDocument(ctx context.Context, id string) (*Registration, error) {
	r, err := readRegistration(ctx, db.reader, "id = $1 AND registered = 'document'", id)
	if err != nil {
		return nil, fmt.Errorf("read a client's document: %w", err)
	}
	return r, nil
}

// Registration reads what a registration access token manages, by its hash. ErrNotFound.
func (db *DB) Registration(ctx context.Context, id string, token [32]byte) (*Registration, error) {
	r, err := readRegistration(ctx, db.reader, managed, id, token[:])
	if err != nil {
		return nil, fmt.Errorf("read registration: %w", err)
	}
	return r, nil
}

// managed is the condition of everything a registration access token may do (RFC 7592 §2): the client is one that
// registered itself, is still there, was not switched off, and the token is its own.
const managed = "id = $1 AND token_hash = $2 AND NOT disabled"

func readRegistration(ctx context.Context, q queryer, where string, args ...any) (*Registration, error) {
	r := &Registration{}
	var usedAt time.Time
	err := one(ctx, q, `SELECT definition, metadata, used_at, fetched_at, fresh_until FROM clients
		WHERE registered <> '' AND declared AND `+where, args,
		document{&r.Client}, &r.Metadata, when{&usedAt}, when{&r.FetchedAt}, when{&r.FreshUntil})
	r.Client.UsedAt = usedAt
	return r, err
}

// NewRegistration is a client to be registered.
type NewRegistration struct {
	Registration
	Token   [32]byte // hash of its registration access token
	Initial [32]byte // hash of the initial access token that lets it in; zero: none was asked for
	Event   domain.Event
}

// AddRegistration inserts a client, and takes one use off the initial access token with it. false: that token has none
// left, or is none. ErrTaken.
func (db *DB) AddRegistration(ctx context.Context, r NewRegistration) (bool, error) {
	definition, err := json.Marshal(r.Client)
	if err != nil {
		return false, fmt.Errorf("add registration: %w", err)
	}
	ok, err := write(ctx, db, shared, func(ctx context.Context, q queryer) (bool, error) {
		e := db.of(r.Event, "client.register")
		if r.Initial != [32]byte{} {
			id, ok, err := spendRegistrationToken(ctx, q, r.Initial, r.Client.RegisteredAt)
			if err != nil || !ok {
				return false, err
			}
			e.Reason = id.String()
		}
		at := micros(r.Client.RegisteredAt)
		n, err := change(ctx, q, `INSERT INTO clients (id, declared, disabled, definition, registered, registered_at, used_at, token_hash, metadata)
			VALUES ($1, TRUE, FALSE, $2, $3, $4, $4, $5, $6) ON CONFLICT DO NOTHING`,
			r.Client.ID, string(definition), string(r.Client.Registered), at, hashOrNull(r.Token), r.Metadata)
		switch {
		case err != nil:
			return false, err
		case n == 0:
			return false, ErrTaken
		}
		e.ClientID = r.Client.ID
		return true, audit(ctx, q, e)
	})
	if err != nil {
		return false, fmt.Errorf("add registration: %w", err)
	}
	return ok, nil
}

// ReplaceRegistration puts a definition in the place of another one (RFC 7592 §2.2), if the token still manages it.
func (db *DB) ReplaceRegistration(ctx context.Context, r Registration, token [32]byte, e domain.Event) (bool, error) {
	definition, err := json.Marshal(r.Client)
	if err != nil {
		return false, fmt.Errorf("replace registration: %w", err)
	}
	return db.changeRegistration(ctx, db.of(e, "client.update"), r.Client.ID, `UPDATE clients SET definition = $3, metadata = $4
		WHERE registered <> '' AND declared AND `+managed, r.Client.ID, token[:], string(definition), r.Metadata)
}

// DeleteRegistration takes a client away (RFC 7592 §2.3), if the token still manages it: from here on it is none, so that
// nothing it was given is good for anything. Its sessions are ended and its row removed by the sweep.
func (db *DB) DeleteRegistration(ctx context.Context, id string, token [32]byte, e domain.Event) (bool, error) {
	event := db.of(e, "client.deregister")
	return db.changeRegistration(ctx, event, id, `UPDATE clients SET declared = FALSE, token_hash = NULL, used_at = $3
		WHERE registered <> '' AND declared AND `+managed, id, token[:], micros(event.At))
}

func (db *DB) changeRegistration(ctx context.Context, e domain.Event, id, statement string, args ...any) (bool, error) {
	done, err := write(ctx, db, shared, func(ctx context.Context, q queryer) (bool, error) {
		n, err := change(ctx, q, statement, args...)
		if err != nil || n == 0 {
			return false, err
		}
		e.ClientID = id
		return true, audit(ctx, q, e)
	})
	if err != nil {
		return false, fmt.Errorf("%s: %w", e.Action, err)
	}
	return done, nil
}

// PutDocument keeps the client that a document describes. Another one of that id, declared or withdrawn by the operator,
// is never overwritten: false. A client that was switched off stays off.
func (db *DB) PutDocument(ctx context.Context, r Registration, e domain.Event) (bool, error) {
	definition, err := json.Marshal(r.Client)
	if err != nil {
		return false, fmt.Errorf("put a client's document: %w", err)
	}
	at, fresh := micros(r.FetchedAt), micros(r.FreshUntil)
	done, err := write(ctx, db, shared, func(ctx context.Context, q queryer) (bool, error) {
		n, err := change(ctx, q, `UPDATE clients SET definition = $2, metadata = $3, fetched_at = $4, fresh_until = $5, declared = TRUE
			WHERE id = $1 AND registered = 'document'`, r.Client.ID, string(definition), r.Metadata, at, fresh)
		if err != nil || n > 0 {
			return n > 0, err
		}
		n, err = change(ctx, q, `INSERT INTO clients (id, declared, disabled, definition, registered, registered_at, used_at, metadata, fetched_at, fresh_until)
			VALUES ($1, TRUE, FALSE, $2, 'document', $4, $4, $3, $4, $5) ON CONFLICT DO NOTHING`,
			r.Client.ID, string(definition), r.Metadata, at, fresh)
		if err != nil {
			return false, err
		}
		if n == 0 { // another node was first, or the id is the operator's
			return exists(ctx, q, "SELECT 1 FROM clients WHERE id = $1 AND registered = 'document'", r.Client.ID)
		}
		event := db.of(e, "client.register")
		event.ClientID = r.Client.ID
		return true, audit(ctx, q, event)
	})
	if err != nil {
		return false, fmt.Errorf("put a client's document: %w", err)
	}
	return done, nil
}

// touchEvery is how exactly the last use of a registered client is kept.
const touchEvery = day

// TouchRegistration notes that a registered client got a token. It writes at most once a day.
func (db *DB) TouchRegistration(ctx context.Context, c *domain.Client, now time.Time) error {
	if c.Registered == "" || (c.UsedAt.After(c.RegisteredAt) && now.Sub(c.UsedAt) < touchEvery) {
		return nil
	}
	_, err := write(ctx, db, single, func(ctx context.Context, q queryer) (int64, error) {
		return change(ctx, q, "UPDATE clients SET used_at = $2 WHERE id = $1 AND registered <> '' AND declared AND used_at < $2", c.ID, micros(now))
	})
	if err != nil {
		return fmt.Errorf("note the use of a registered client: %w", err)
	}
	return nil
}
