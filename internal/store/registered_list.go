package store

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

// Registered is a client that registered itself, as its operator looks at it.
type Registered struct {
	domain.Client
	State domain.ClientState
}

const registeredQuery = "SELECT c.definition, " + clientState + ", c.used_at FROM clients c WHERE c.registered <> '' AND c.declared"

func scanRegistered(row scanner) (r Registered, err error) {
	err = row.Scan(document{&r.Client}, &r.State, when{&r.UsedAt})
	return r, err
}

// RegisteredClients lists those that registered themselves in the order of their ids, after an id, at most limit.
func (db *DB) RegisteredClients(ctx context.Context, after string, limit int) ([]Registered, error) {
	list, err := all(ctx, db.reader, scanRegistered, registeredQuery+" AND c.id > $1 ORDER BY c.id LIMIT $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("list registered clients: %w", err)
	}
	return list, nil
}

// ShowRegistered reads one as its operator looks at it. ErrNotFound.
func (db *DB) ShowRegistered(ctx context.Context, id string) (*Registered, error) {
	list, err := all(ctx, db.reader, scanRegistered, registeredQuery+" AND c.id = $1", id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("show registered client: %w", err)
	case len(list) == 0:
		return nil, fmt.Errorf("show registered client: %w", ErrNotFound)
	}
	return &list[0], nil
}

// RemoveRegistered takes a client that registered itself away, as DeleteRegistration does, for its operator, who may take
// the time: what people agreed that it may have is forgotten and its sessions end at once, one audit row each. A client that
// is named by its document finds nothing of them when it comes back. ErrNotFound, also for a client that is declared.
func (db *DB) RemoveRegistered(ctx context.Context, id string, reason domain.EndReason, e domain.Event) error {
	row := db.of(e, "client.deregister")
	row.ClientID = id
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		n, err := change(ctx, q, `UPDATE clients SET declared = FALSE, token_hash = NULL, used_at = $2
			WHERE id = $1 AND registered <> '' AND declared`, id, micros(row.At))
		switch {
		case err != nil:
			return none, err
		case n == 0:
			return none, ErrNotFound
		}
		if _, err := change(ctx, q, "DELETE FROM consents WHERE client_id = $1", id); err != nil {
			return none, err
		}
		if err := audit(ctx, q, row); err != nil {
			return none, err
		}
		_, err = db.endSteps(ctx, q, ending{where: "client_id = $3", args: []any{id}, reason: reason, event: e})
		return none, err
	})
	if err != nil {
		return fmt.Errorf("delete registered client: %w", err)
	}
	return nil
}
