package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/test/pgcluster"
)

// What was acknowledged survives a database that is killed in the middle (I3), a rotation that was not acknowledged
// happened once or not at all (I1), and the pool finds its way back.
func TestNoAcknowledgedRotationIsLostWhenTheDatabaseIsKilled(t *testing.T) {
	cluster, err := pgcluster.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	db := migrated(t, Options{URL: cluster.URL("")})
	sessions := make([]domain.Session, 32)
	for i := range sessions {
		sessions[i] = mustSignIn(t, db, newSignIn(db))
	}
	for range 3 {
		var all sync.WaitGroup
		busy := make(chan struct{}, len(sessions))
		for i := range sessions {
			all.Go(func() { sessions[i] = rotateUntilItFails(db, sessions[i], busy) })
		}
		for range sessions { // everybody is at it
			<-busy
		}
		if err := cluster.Kill(); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if err := cluster.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		until(t, func() error { return db.Ready(t.Context()) })
		for i, s := range sessions {
			now := mustSession(t, db, s.ID)
			if lost := int64(s.Refresh.Counter) - int64(now.Refresh.Counter); lost != 0 && lost != -1 {
				t.Errorf("acknowledged %d, stored %d", s.Refresh.Counter, now.Refresh.Counter)
			}
			sessions[i] = now.Session
		}
	}
}

// rotateUntilItFails returns the session as it was last acknowledged.
func rotateUntilItFails(db *DB, s domain.Session, busy chan<- struct{}) domain.Session {
	for n := 0; ; n++ {
		if n == 3 {
			busy <- struct{}{}
		}
		got, err := db.RotateRefresh(context.Background(), rotation(db, s))
		if err != nil {
			return s
		}
		s = got.View.Session
	}
}

// until repeats what fails while connections of before are still in the pool.
func until(t *testing.T, ready func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
