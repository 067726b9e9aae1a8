package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/countersign/countersign/internal/domain"
)

// PutCatalog upserts what the configuration file declares and takes the declaration from clients and resources it
// no longer names (their rows stay). An operator's disabling survives. It raises the version if anything changed, and
// the trail tells of every client that came or went. A revision below the highest declared writes nothing and is
// ErrOlderRevision: which of two files is the newer one is for the database to say, not for the order of starts.
func (db *DB) PutCatalog(ctx context.Context, c domain.Catalog) error {
	clients, err := definitions(c.Clients, func(c domain.Client) string { return c.ID })
	if err != nil {
		return fmt.Errorf("put the catalog: %w", err)
	}
	resources, err := definitions(c.Resources, func(r domain.Resource) string { return r.ID })
	if err != nil {
		return fmt.Errorf("put the catalog: %w", err)
	}
	_, err = write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		if err := db.lock(ctx, q, lockCatalog); err != nil {
			return none, err
		}
		raised, err := raise(ctx, q, c.Revision)
		if err != nil {
			return none, err
		}
		changed1, err := db.declare(ctx, q, clientDeclarations, clients)
		if err != nil {
			return none, err
		}
		changed2, err := db.declare(ctx, q, resourceDeclarations, resources)
		if err == nil && raised+changed1+changed2 > 0 {
			_, err = change(ctx, q, "UPDATE catalog SET version = version + 1")
		}
		return none, err
	})
	if err != nil {
		return fmt.Errorf("put the catalog: %w", err)
	}
	return nil
}

// raise keeps the highest revision, and counts whether this is a new one.
func raise(ctx context.Context, q queryer, revision int64) (raised int64, err error) {
	var highest int64
	if err := one(ctx, q, "SELECT revision FROM catalog", nil, &highest); err != nil {
		return 0, err
	}
	if revision < highest {
		return 0, fmt.Errorf("%w: %d is below %d", ErrOlderRevision, revision, highest)
	}
	return change(ctx, q, "UPDATE catalog SET revision = $1 WHERE revision < $1", revision)
}

// definitions writes each item down as JSON.
func definitions[T any](items []T, id func(T) string) (map[string]string, error) {
	texts := make(map[string]string, len(items))
	for _, item := range items {
		text, err := json.Marshal(item)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id(item), err)
		}
		texts[id(item)] = string(text)
	}
	return texts, nil
}

// declarations are the statements that keep a table of declared things, and what the trail calls their coming and
// going; empty where it has no word for it.
type declarations struct{ declared, put, withdraw, came, went string }

var clientDeclarations = declarations{
	declared: "SELECT id FROM clients WHERE declared AND registered = ''", // what registered itself is not the file's to withdraw
	put: `INSERT INTO clients (id, declared, disabled, definition) VALUES ($1, TRUE, FALSE, $2)
		ON CONFLICT (id) DO UPDATE SET declared = TRUE, definition = excluded.definition, registered = ''
		WHERE NOT clients.declared OR clients.registered <> '' OR clients.definition <> excluded.definition`,
	withdraw: "UPDATE clients SET declared = FALSE WHERE id = $1",
	came:     "client.declare",
	went:     "client.withdraw",
}

var resourceDeclarations = declarations{
	declared: "SELECT id FROM resources WHERE declared",
	put: `INSERT INTO resources (id, declared, definition) VALUES ($1, TRUE, $2)
		ON CONFLICT (id) DO UPDATE SET declared = TRUE, definition = excluded.definition
		WHERE NOT resources.declared OR resources.definition <> excluded.definition`,
	withdraw: "UPDATE resources SET declared = FALSE WHERE id = $1",
}

// declare makes a table say what texts say, and counts what that changed.
func (db *DB) declare(ctx context.Context, q queryer, d declarations, texts map[string]string) (changed int64, err error) {
	before, err := all(ctx, q, scanText, d.declared)
	if err != nil {
		return 0, err
	}
	for _, id := range slices.Sorted(slices.Values(before)) {
		if _, still := texts[id]; still {
			continue
		}
		n, err := change(ctx, q, d.withdraw, id)
		if err == nil {
			err = db.auditDeclaration(ctx, q, d.went, id)
		}
		if err != nil {
			return 0, err
		}
		changed += n
	}
	for _, id := range slices.Sorted(maps.Keys(texts)) {
		n, err := change(ctx, q, d.put, id, texts[id])
		if err == nil && !slices.Contains(before, id) {
			err = db.auditDeclaration(ctx, q, d.came, id)
		}
		if err != nil {
			return 0, err
		}
		changed += n
	}
	return changed, nil
}

// auditDeclaration writes the row of one that came or went. Nobody but the file did it.
func (db *DB) auditDeclaration(ctx context.Context, q queryer, action, id string) error {
	if action == "" {
		return nil
	}
	return audit(ctx, q, db.of(domain.Event{Actor: "config", ClientID: id}, action))
}

// Catalog reads the declared clients and resources, by id, and the version, all as of one moment.
func (db *DB) Catalog(ctx context.Context) (*domain.Catalog, error) {
	const query = `
		SELECT 'version' AS kind, '' AS id, version, revision, '' AS definition FROM catalog
		UNION ALL SELECT 'client', id, 0, 0, definition FROM clients WHERE declared AND registered = ''
		UNION ALL SELECT 'resource', id, 0, 0, definition FROM resources WHERE declared
		ORDER BY kind, id`
	type line struct {
		kind, definition string
		version          int64
		revision         int64
	}
	lines, err := all(ctx, db.reader, func(row scanner) (l line, err error) {
		var id string
		err = row.Scan(&l.kind, &id, &l.version, &l.revision, &l.definition)
		return l, err
	}, query)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	c := &domain.Catalog{}
	for _, l := range lines {
		switch l.kind {
		case "version":
			c.Version, c.Revision = l.version, l.revision
		case "client":
			err = appendDefinition(&c.Clients, l.definition)
		case "resource":
			err = appendDefinition(&c.Resources, l.definition)
		}
		if err != nil {
			return nil, fmt.Errorf("read the catalog: a %s: %w", l.kind, err)
		}
	}
	return c, nil
}

func appendDefinition[T any](list *[]T, definition string) error {
	var item T
	if err := json.Unmarshal([]byte(definition), &item); err != nil {
		return err
	}
	*list = append(*list, item)
	return nil
}

// CatalogVersion reads the version alone.
func (db *DB) CatalogVersion(ctx context.Context) (version int64, err error) {
	if err := one(ctx, db.reader, "SELECT version FROM catalog", nil, &version); err != nil {
		return 0, fmt.Errorf("read the catalog's version: %w", err)
	}
	return version, nil
}

// SetClientDisabled disables or enables a client, with its audit row if it changed. ErrNotFound if there is none.
func (db *DB) SetClientDisabled(ctx context.Context, clientID string, disabled bool, e domain.Event) error {
	action := "client.enable"
	if disabled {
		action = "client.disable"
	}
	_, err := write(ctx, db, alone, func(ctx context.Context, q queryer) (none struct{}, err error) {
		n, err := change(ctx, q, "UPDATE clients SET disabled = $2 WHERE id = $1 AND disabled <> $2", clientID, disabled)
		if err != nil {
			return none, err
		}
		if n == 0 {
			var id string
			return none, one(ctx, q, "SELECT id FROM clients WHERE id = $1", []any{clientID}, &id)
		}
		e.ClientID = clientID
		return none, audit(ctx, q, db.of(e, action))
	})
	if err != nil {
		return fmt.Errorf("disable or enable client: %w", err)
	}
	return nil
}

// clientState reads a row c of clients as a domain.ClientState, and the absence of one. Where the condition is all that
// is asked, it says the same: declared AND NOT disabled.
const clientState = "CASE WHEN c.declared AND NOT c.disabled THEN 1 WHEN c.declared THEN 2 ELSE 0 END"

// ClientState tells whether a client may be used now. Concurrent calls share a query.
func (db *DB) ClientState(ctx context.Context, clientID string) (domain.ClientState, error) {
	state, err := db.clients.call(ctx, clientID, clientID)
	if err != nil {
		return domain.ClientUndeclared, fmt.Errorf("read client: %w", err)
	}
	return state, nil
}

// clientStates answers for many at once, in order.
func (db *DB) clientStates(ctx context.Context, ids []string) ([]domain.ClientState, error) {
	states := make(map[string]domain.ClientState, len(ids))
	note := func(row scanner) (none struct{}, err error) {
		var id string
		var state domain.ClientState
		err = row.Scan(&id, &state)
		states[id] = state
		return none, err
	}
	const query = "SELECT c.id, " + clientState + " FROM clients c WHERE c.id = "
	if db.postgres() {
		if _, err := all(ctx, db.reader, note, query+"ANY($1)", ids); err != nil {
			return nil, err
		}
	} else {
		for _, id := range ids {
			if _, err := all(ctx, db.reader, note, query+"$1", id); err != nil {
				return nil, err
			}
		}
	}
	answers := make([]domain.ClientState, len(ids))
	for i, id := range ids {
		answers[i] = states[id]
	}
	return answers, nil
}

// readClientState reads one in a transaction.
func readClientState(ctx context.Context, q queryer, id string) (state domain.ClientState, err error) {
	err = one(ctx, q, "SELECT "+clientState+" FROM clients c WHERE c.id = $1", []any{id}, &state)
	if errors.Is(err, ErrNotFound) {
		return domain.ClientUndeclared, nil
	}
	return state, err
}
