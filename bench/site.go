package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/pgcluster"
)

// site is one engine's part of a run: where the server's database is, where the ceiling's, and who serves.
type site struct {
	options
	engine, binary, dir string
	report              *report

	database string
	provider *provider
	corp     *standin.Provider // where browsers sign in
	bank     *jose.Signer      // of the clients with high stakes
	bankKeys string            // its public half, as a JWK Set
	ceiling  *bare
}

func (s *site) postgres() bool { return s.engine == "postgres" }

// measureEngine prints the engine's own rates, then loads the server on it.
func (s *site) measureEngine(ctx context.Context) (err error) {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	fmt.Printf("\n== %s\n", s.engine)
	s.database = "sqlite:" + filepath.Join(s.dir, "countersign.db")
	beside := "sqlite:" + filepath.Join(s.dir, "ceiling.db")
	if s.postgres() {
		cluster, err := pgcluster.Start(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = cluster.Stop() }()
		if s.database, err = cluster.CreateDatabase(ctx, "bench"); err != nil {
			return err
		}
		if beside, err = cluster.CreateDatabase(ctx, "ceiling"); err != nil {
			return err
		}
	}
	if err := engineRates(ctx, beside, s.duration); err != nil {
		return err
	}
	if s.provider, err = startProvider(); err != nil {
		return err
	}
	defer s.provider.close()
	if s.corp, err = standin.NewProvider(standin.OIDC); err != nil {
		return err
	}
	defer s.corp.Close()
	if s.bank, s.bankKeys, err = newAssuredKey(); err != nil {
		return err
	}
	if s.ceiling, err = startCeiling(ctx, beside, s.provider.publicKey(), s.bank); err != nil {
		return err
	}
	defer s.ceiling.stop()
	return s.measureServer(ctx)
}

func engineRates(ctx context.Context, url string, d time.Duration) error {
	e, err := openEngine(url)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.prepare(ctx); err != nil {
		return fmt.Errorf("prepare the ceiling's table: %w", err)
	}
	alone, err := e.updatesAlone(ctx, d)
	if err != nil {
		return err
	}
	shared, err := e.updatesShared(ctx, d)
	if err != nil {
		return err
	}
	fmt.Printf("engine, the same update: %.0f/s with a commit each, %.0f/s with %d to a commit\n", alone, shared, benchRows)
	return nil
}

// The pools a server is measured with. The small one is a fifth of what the 64 connections would like.
const (
	usualPool = 16
	smallPool = 4
)

func (s *site) measureServer(ctx context.Context) error {
	first, err := startServer(ctx, s, usualPool)
	if err != nil {
		return err
	}
	first.stop() // it migrated; what counts is a start on a migrated database
	usual, err := s.withPool(ctx, usualPool, s.conns)
	if err != nil || !s.postgres() {
		return err
	}
	fmt.Printf("-- with a pool of %d connections\n", smallPool)
	most := s.conns[len(s.conns)-1]
	small, err := s.withPool(ctx, smallPool, []int{most})
	for name, rate := range small {
		s.report.add(s.engine, fmt.Sprintf("%s, a pool of %d beside %d", name, smallPool, usualPool), atLeast(50, 100*rate/usual[name]))
	}
	return err
}

// withPool starts the server and puts every load on it. It returns the rates of the last number of connections.
func (s *site) withPool(ctx context.Context, pool int, conns []int) (map[string]float64, error) {
	t, err := startServer(ctx, s, pool)
	if err != nil {
		return nil, err
	}
	defer t.stop()
	fmt.Printf("ready %d ms after start, %.0f MiB resident\n", t.ready.Milliseconds(), t.resident())
	ph := &phones{t: t, ceiling: s.ceiling.addr, p: s.provider}
	if ph.bound, err = ph.open(s.sessions, true); err != nil {
		return nil, err
	}
	if ph.bearer, err = ph.open(s.sessions, false); err != nil {
		return nil, err
	}
	if ph.web, err = openWeb(ctx, t, s.corp); err != nil {
		return nil, err
	}
	if ph.assured, err = newAssured(t.issuer, s.bank); err != nil {
		return nil, err
	}
	loads, err := ph.scenarios()
	if err != nil {
		return nil, err
	}
	rates := map[string]float64{}
	for _, load := range loads {
		if !strings.Contains(load.name, s.only) {
			continue
		}
		for _, n := range conns {
			m, err := s.measure(ctx, t, load, n)
			if err != nil {
				return nil, fmt.Errorf("%s, %d connections: %w", load.name, n, err)
			}
			fmt.Println(m.line())
			rates[load.name] = m.server.perSecond()
			if pool == usualPool {
				s.report.judge(s.engine, m)
			}
		}
	}
	fmt.Printf("%.0f MiB resident after the load\n", t.resident())
	s.report.add(s.engine, fmt.Sprintf("ready after start, ms (pool of %d)", pool), atMost(200, float64(t.ready.Milliseconds())))
	s.report.add(s.engine, fmt.Sprintf("resident after the load, MiB (pool of %d)", pool), below(64, t.resident()))
	return rates, nil
}
