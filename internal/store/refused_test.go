package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestOnlyAnErrorOfALivingBackendSaysThatABatchWasUndone(t *testing.T) {
	for want, err := range map[bool]error{
		true:  fmt.Errorf("batch: %w", &pgconn.PgError{SeverityUnlocalized: "ERROR", Code: "22021"}),
		false: errors.Join(&pgconn.PgError{SeverityUnlocalized: "FATAL", Code: "57P01"}, errors.New("conn closed")),
	} {
		if got := refused(err); got != want {
			t.Errorf("%v: undone %t, want %t", err, got, want)
		}
	}
	if refused(nil) || refused(errors.New("the connection broke")) {
		t.Error("a broken connection tells nothing of the batch")
	}
}
