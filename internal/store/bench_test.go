package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/domain"
)

// crowded runs b.N operations from as many callers at a time, each with sessions of its own.
func crowded(b *testing.B, callers int, operation func(caller, n int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for caller := range callers {
		all.Go(func() {
			for n := 0; next.Add(1) <= int64(b.N); n++ {
				operation(caller, n)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func onEachBenchEngine(b *testing.B, bench func(b *testing.B, db *DB, callers int)) {
	for _, e := range engines {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", e.name, callers), func(b *testing.B) {
				bench(b, migrated(b, Options{URL: e.url(b)}), callers)
			})
		}
	}
}

// benchSessions signs many people in.
func benchSessions(b *testing.B, db *DB) ([]domain.Session, []SignIn) {
	const many = 4096
	sessions, ins := make([]domain.Session, many), make([]SignIn, many)
	atOnce(64, func(i int) {
		for n := i; n < many; n += 64 {
			ins[n] = newSignIn(db)
			result, err := db.SignIn(context.Background(), ins[n])
			if err != nil {
				b.Error(err)
			}
			sessions[n] = result.Session
		}
	})
	return sessions, ins
}

func BenchmarkRotateRefresh(b *testing.B) {
	onEachBenchEngine(b, func(b *testing.B, db *DB, callers int) {
		sessions, _ := benchSessions(b, db)
		each := len(sessions) / callers
		crowded(b, callers, func(caller, n int) {
			s := &sessions[caller*each+n*37%each]
			got, err := db.RotateRefresh(context.Background(), rotation(db, *s))
			if err != nil || !got.Advanced {
				b.Errorf("advanced %t (%v)", got.Advanced, err)
			}
			s.Refresh.Counter++
		})
	})
}

func BenchmarkSignInReturning(b *testing.B) {
	onEachBenchEngine(b, func(b *testing.B, db *DB, callers int) {
		_, ins := benchSessions(b, db)
		crowded(b, callers, func(caller, n int) {
			first := ins[(caller*64+n)%len(ins)]
			in := again(db, first)
			in.NewDevice.JKT, in.Session.JKT = first.NewDevice.JKT, first.NewDevice.JKT
			if got, err := db.SignIn(context.Background(), in); err != nil || got.Verdict != SignedIn {
				b.Errorf("verdict %d (%v)", got.Verdict, err)
			}
		})
	})
}

func BenchmarkSession(b *testing.B) {
	onEachBenchEngine(b, func(b *testing.B, db *DB, callers int) {
		sessions, _ := benchSessions(b, db)
		crowded(b, callers, func(caller, n int) {
			if _, err := db.Session(context.Background(), sessions[(caller*64+n*37)%len(sessions)].ID); err != nil {
				b.Error(err)
			}
		})
	})
}
