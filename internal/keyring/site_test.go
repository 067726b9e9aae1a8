package keyring

import (
	"context"
	"crypto"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/pgcluster"
)

// site is a database, its clock, which stands still until it is stepped, and the master key of its nodes.
type site struct {
	url    string
	nanos  atomic.Int64
	master string
}

func (s *site) now() time.Time { return time.Unix(0, s.nanos.Load()).UTC() }

func (s *site) step(d time.Duration) { s.nanos.Add(int64(d)) }

func onBothEngines(t *testing.T, test func(t *testing.T, s *site)) {
	run := func(t *testing.T, url string) {
		s := &site{url: url, master: NewMasterLine()}
		s.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
		if _, err := s.db(t).Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	}
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "countersign.db")) })
	t.Run("postgres", func(t *testing.T) { run(t, pgcluster.Shared(t)) })
}

func (s *site) db(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{URL: s.url, Clock: s.now, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// node is one of several on the site.
func (s *site) node(t testing.TB, o Options) *Ring {
	t.Helper()
	r, err := Open(context.Background(), s.db(t), mustMaster(t, s.master), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func turn(t testing.TB, nodes ...*Ring) {
	t.Helper()
	for _, r := range nodes {
		if err := r.Turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Ready(); err != nil {
			t.Fatal(err)
		}
	}
}

// signsFor fails the test unless what one node signs now is accepted by the other.
func signsFor(t testing.TB, signing, checking *Ring) (kid string) {
	t.Helper()
	for _, alg := range []domain.SigningAlg{domain.ES256, domain.RS256} {
		s, err := signing.Signer(alg)
		if err != nil {
			t.Fatal(err)
		}
		if alg == domain.ES256 {
			kid = s.Kid()
		}
		raw, err := s.Sign("JWT", map[string]string{"sub": "x"})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = jose.Verify(t.Context(), raw, jose.Policy{Algs: []jose.Alg{s.Alg()}}, func(ctx context.Context, h jose.Header) (crypto.PublicKey, error) {
			return checking.PublicKey(ctx, h.Kid, h.Alg)
		})
		if err != nil {
			t.Fatalf("%s signed by one node is refused by the other: %v", s.Kid(), err)
		}
	}
	return kid
}
