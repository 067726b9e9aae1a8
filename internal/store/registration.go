package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/countersign/countersign/internal/domain"
)

// RegisteredClient reads a client that registered itself. Whether it may be used now is its ClientState. ErrNotFound.
func (db *DB) RegisteredClient(ctx context.Context, id string) (*domain.Client, error) {
	var definition string
	err := one(ctx, db.reader, "SELECT definition FROM clients WHERE id = $1 AND registered <> ''", []any{id}, &definition)
	if err != nil {
		return nil, fmt.Errorf("read registered client: %w", err)
	}
	c := &domain.Client{}
	if err := json.Unmarshal([]byte(definition), c); err != nil {
		return nil, fmt.Errorf("read registered client: %w", err)
	}
	return c, nil
}
