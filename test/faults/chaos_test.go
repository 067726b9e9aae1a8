package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
)

// run is phones at work on a fleet while it is being broken and mended.
type run struct {
	*fleet
	seed    uint64
	rng     *rand.Rand
	history *history
	lives   []*life
	bad     []*standin.Network // whose weather clears up when the faults are over
}

// grace is the fleet's for bearer sessions.
const grace = 24 * time.Hour

// newRun peoples a fleet: so many phones with a key, on a network that does everything, and without, on one that
// duplicates nothing: a copy held back may end such a session by design (C32).
func newRun(f *fleet, seed uint64, bound, bearers int) *run {
	f.t.Helper()
	r := &run{fleet: f, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), history: newHistory(time.Now)}
	worst := standin.Rates{
		LoseRequest: 0.03, LoseResponse: 0.05, CutRequest: 0.02, CutResponse: 0.03, Duplicate: 0.05, LateRequest: 0.1, LateResponse: 0.1,
	}
	better := worst
	better.Duplicate = 0
	for i, rates := range []standin.Rates{worst, better} {
		way := f.network()
		way.Random(seed+uint64(i), rates)
		r.bad = append(r.bad, way)
	}
	for i := range bound {
		r.lives = append(r.lives, f.life(fmt.Sprintf("bound-%d", i), r.rng.Uint64(), r.bad[0].Client(), r.history))
	}
	for i := range bearers {
		r.lives = append(r.lives, f.life(fmt.Sprintf("bearer-%d", i), r.rng.Uint64(), r.bad[1].Client(), r.history, bearer))
	}
	return r
}

// play lets the phones live, breaks and mends things so many times, and judges.
func (r *run) play(faults int, kinds ...fault) {
	r.t.Helper()
	books, err := open(r.database)
	must(r.t, err)
	watcher := books.watch()
	ctx, stop := context.WithCancel(context.Background())
	var alive sync.WaitGroup
	for _, l := range r.lives {
		alive.Go(func() { l.live(ctx) })
	}
	healed := r.suffer(faults, kinds)
	r.awaitProgress(healed)
	stop()
	alive.Wait()
	for _, way := range r.bad {
		way.Settle()
	}
	e := r.evidence(books, watcher.end())
	e.healed = healed
	r.tellFigures(e)
	e.holds(r.t)
	for _, l := range r.lives {
		for _, err := range l.errs {
			r.t.Error(err)
		}
	}
}

// load is how many grants lie between two faults at least, on a machine however slow.
const load = 25

// suffer breaks and mends, going through the kinds and leaving some out. It returns when the last fault was over and
// the weather had cleared up.
func (r *run) suffer(faults int, kinds []fault) time.Time {
	r.t.Helper()
	ctx := r.t.Context()
	next := r.rng.IntN(len(kinds))
	for range faults {
		before := r.history.granted()
		must(r.t, rest(ctx, r.between(200, 700)))
		for since := time.Now(); r.history.granted() < before+load && time.Since(since) < promptly; {
			must(r.t, rest(ctx, time.Millisecond))
		}
		must(r.t, kinds[next](r))
		if next++; r.rng.IntN(2) == 0 {
			next++
		}
		next %= len(kinds)
	}
	for _, way := range r.bad {
		way.Random(0, standin.Rates{})
	}
	return time.Now()
}

func (r *run) between(least, most int) time.Duration {
	return time.Duration(least+r.rng.IntN(most-least)) * time.Millisecond
}

// fault breaks something and mends it.
type fault func(r *run) error

// killNode kills a server with SIGKILL and starts it again.
func killNode(i int) fault {
	return func(r *run) error {
		n := r.nodes[i]
		if err := n.kill(); err != nil {
			return err
		}
		_ = rest(r.t.Context(), r.between(0, 300))
		return n.start()
	}
}

// killDatabase stops every process of the database at once, without a checkpoint, and starts it again.
func killDatabase(r *run) error {
	if err := r.cluster.Kill(); err != nil {
		return err
	}
	_ = rest(r.t.Context(), r.between(0, 500))
	return r.restartDatabase()
}

// killBoth lets a server die while the database is dead.
func killBoth(i int) fault {
	return func(r *run) error {
		if err := r.cluster.Kill(); err != nil {
			return err
		}
		if err := r.nodes[i].kill(); err != nil {
			return err
		}
		if err := r.restartDatabase(); err != nil {
			return err
		}
		return r.nodes[i].start()
	}
}

// awaitProgress gives every phone the time that I8 allows to be served again.
func (r *run) awaitProgress(healed time.Time) {
	for time.Since(healed) < promptly && len(r.history.progressed(healed)) < len(r.lives) {
		if rest(r.t.Context(), 50*time.Millisecond) != nil {
			return
		}
	}
}

// evidence is taken when nothing is under way any more.
func (r *run) evidence(books *books, looks []look) *evidence {
	r.t.Helper()
	e := &evidence{told: r.history.tell(), looks: looks, grace: grace}
	for _, l := range r.lives {
		e.phones = append(e.phones, l.name)
	}
	var err error
	e.ledger, err = books.close(r.t.Context())
	must(r.t, err)
	return e
}

// tellFigures says what the run was, and that it was not empty.
func (r *run) tellFigures(e *evidence) {
	r.t.Helper()
	var rotations, silent, busy int
	for _, c := range e.calls {
		switch {
		case !c.answered():
			silent++
		case c.status == 503:
			busy++
		case c.rotation() && c.granted():
			rotations++
		}
	}
	r.t.Logf("seed %d: %d calls, %d rotations, %d without an answer, %d told to come again; %d sessions, %d signed out, %d robbed, seen %d times",
		r.seed, len(e.calls), rotations, silent, busy, len(e.ledger.rows), len(e.endings), len(e.thefts), len(e.looks))
	if rotations < 2*load || silent < 10 || len(e.looks) < 5 {
		r.t.Error("too little happened to prove anything")
	}
}

// long tells whether the run may take minutes.
func long() bool { return os.Getenv("COUNTERSIGN_TEST_LONG") != "" }

// seeds are what the runs are drawn from.
func seeds(t testing.TB) []uint64 {
	t.Helper()
	if text := os.Getenv("COUNTERSIGN_FAULTS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		return []uint64{seed}
	}
	count := 1
	if long() {
		count = 5
	}
	list := make([]uint64, count)
	for i := range list {
		list[i] = rand.Uint64()
	}
	return list
}

// TestTwoServersAndTheirDatabaseAreKilled: I1 to I10 and linearizability on two processes and one PostgreSQL, of which
// one or the other dies again and again.
func TestTwoServersAndTheirDatabaseAreKilled(t *testing.T) {
	t.Parallel()
	faults := 5
	if long() {
		faults = 40
	}
	for _, seed := range seeds(t) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			// The second node has a pool far smaller than its concurrency.
			f := onPostgres(t, []int{0, 2})

			newRun(f, seed, 8, 4).play(faults, killNode(0), killDatabase, killNode(1), killDatabase, killBoth(0)) //nolint:gocritic // the database is killed twice
		})
	}
}

// TestASQLiteServerIsKilled: the same on one process and its file. What was acknowledged before SIGKILL is there after
// it.
func TestASQLiteServerIsKilled(t *testing.T) {
	t.Parallel()
	faults := 3
	if long() {
		faults = 40
	}
	for _, seed := range seeds(t) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			newRun(onSQLite(t), seed, 6, 3).play(faults, killNode(0))
		})
	}
}
