package store

import (
	"context"
	"errors"
	"strings"

	"github.com/countersign/countersign/internal/domain"
)

// rotateLiteOne binds what is presented in place of the columns of i: a common table expression for one row costs
// SQLite a third of the statement (docs/decisions/0005).
var rotateLiteOne = strings.NewReplacer("i.id", "$1", "i.counter", "$2", "i.secret_hash", "$3", "i.client_id", "$4",
	"i.jkt", "$5", "i.now", "$6", "i.key_id", "$7", "i.format", "$8", "i.audiences", "$9",
).Replace(`UPDATE sessions AS s SET ` + rotationMoves + ` WHERE ` + rotationFits + rotationLiteAnswerable + ` RETURNING ` + unqualified(grantedColumns))

// rotationLiteAnswerable is rotationAnswerable in SQLite's words: the first resource with a space on both sides must be
// in the list with a space on both sides.
const rotationLiteAnswerable = ` AND (i.audiences = ''
	OR instr(' ' || i.audiences || ' ', ' ' || substr(s.resources, 1, instr(s.resources || ' ', ' ') - 1) || ' ') > 0)`

// unqualified takes the table's name from columns: SQLite knows no alias in RETURNING.
func unqualified(columns string) string { return strings.ReplaceAll(columns, "s.", "") }

// rotateLite advances in the transaction it shares, and reads in it what did not advance.
func (db *DB) rotateLite(ctx context.Context, r Rotation) (RotationResult, error) {
	return write(ctx, db, single, func(ctx context.Context, q queryer) (RotationResult, error) {
		var s domain.Session
		err := one(ctx, q, rotateLiteOne, []any{r.SessionID[:], r.Counter, r.SecretHash[:], r.ClientID, r.JKT, micros(r.Now),
			r.KeyID, r.Format, joined(r.Audiences)}, grantedFields(&s)...)
		switch {
		case err == nil:
			return advancedBy(&r, s), nil
		case !errors.Is(err, ErrNotFound):
			return RotationResult{}, err
		}
		view, found, err := readSession(ctx, q, r.SessionID)
		return RotationResult{Found: found, View: view}, err
	})
}
