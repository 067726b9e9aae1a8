// Command bench puts closed-loop load on a running Countersign and prints what it reaches beside ceilings measured
// in the same run on the same machine: a bare net/http handler that does the same signatures and verifications, and
// the engine's own rate for the same update. Speed is judged by those ratios, never by a timed test.
//
//	go run ./bench [-engines sqlite,postgres] [-conns 1,8,64] [-time 3s]
//
// Everything runs on loopback in throw-away folders and stops by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/test/pgcluster"
)

type options struct {
	engines  []string
	conns    []int
	duration time.Duration
	sessions int
	only     string
	profile  bool
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "ceiling" {
		if err := serveCeiling(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "ceiling:", err)
			os.Exit(1)
		}
		return
	}
	o, err := parse()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = bench(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (options, error) {
	engines := flag.String("engines", "sqlite,postgres", "engines to measure")
	conns := flag.String("conns", "1,8,64", "numbers of connections")
	o := options{}
	flag.DurationVar(&o.duration, "time", 3*time.Second, "length of each run")
	flag.IntVar(&o.sessions, "sessions", 512, "sessions the refreshes are spread over, of each tier")
	flag.StringVar(&o.only, "only", "", "only scenarios whose name contains this")
	flag.Parse()
	o.engines = strings.Split(*engines, ",")
	for _, s := range strings.Split(*conns, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > o.sessions {
			return o, fmt.Errorf("-conns: %q is no number from 1 to -sessions", s)
		}
		o.conns = append(o.conns, n)
	}
	return o, nil
}

func bench(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "countersign-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "countersign")
	fmt.Println("building …")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/countersign") //nolint:gosec // fixed arguments
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w (run it from the repository's root)", err)
	}
	fmt.Println(lifted)
	for _, engine := range o.engines {
		if err := benchEngine(ctx, o, engine, binary, filepath.Join(dir, engine)); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	return nil
}

func benchEngine(ctx context.Context, o options, name, binary, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	database := "sqlite:" + filepath.Join(dir, "countersign.db")
	ceilingDB := "sqlite:" + filepath.Join(dir, "ceiling.db")
	if name == "postgres" {
		cluster, err := pgcluster.Start(ctx)
		if err != nil {
			return err
		}
		defer cluster.Stop()
		if database, err = cluster.CreateDatabase(ctx, "bench"); err != nil {
			return err
		}
		if ceilingDB, err = cluster.CreateDatabase(ctx, "ceiling"); err != nil {
			return err
		}
	}
	e, err := openEngine(ceilingDB)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.prepare(ctx); err != nil {
		return fmt.Errorf("prepare the ceiling's table: %w", err)
	}
	fmt.Printf("\n== %s\n", name)
	if err := engineRates(ctx, e, o.duration); err != nil {
		return err
	}
	return benchServer(ctx, o, binary, dir, database, ceilingDB)
}

func engineRates(ctx context.Context, e *engine, d time.Duration) error {
	alone, err := e.updatesAlone(ctx, d)
	if err != nil {
		return err
	}
	shared, err := e.updatesShared(ctx, d)
	if err != nil {
		return err
	}
	fmt.Printf("engine, the same update: %.0f/s with a commit each, %.0f/s with 64 to a commit\n", alone, shared)
	return nil
}

func benchServer(ctx context.Context, o options, binary, dir, database, ceilingDB string) error {
	p, err := startProvider()
	if err != nil {
		return err
	}
	defer p.close()
	first, err := startServer(ctx, binary, dir, database, p.url, 16)
	if err != nil {
		return err
	}
	first.stop() // it migrated; what counts is a start on a migrated database
	ceilingProcess, ceilingAddr, err := startCeiling(ctx, ceilingDB, p.publicKey())
	if err != nil {
		return err
	}
	defer ceilingProcess.stop()
	if err := withPool(ctx, o, binary, dir, database, p, ceilingAddr, 16, o.conns); err != nil {
		return err
	}
	if !strings.HasPrefix(database, "postgres") {
		return nil
	}
	fmt.Println("-- with a pool of 4 connections")
	return withPool(ctx, o, binary, dir, database, p, ceilingAddr, 4, o.conns[len(o.conns)-1:])
}

// withPool starts the server and puts every load on it.
func withPool(ctx context.Context, o options, binary, dir, database string, p *provider, ceilingAddr string, pool int, conns []int) error {
	t, err := startServer(ctx, binary, dir, database, p.url, pool)
	if err != nil {
		return err
	}
	defer t.stop()
	fmt.Printf("ready %d ms after start (bar 200), %.0f MiB resident\n", t.ready.Milliseconds(), t.resident())
	ph := &phones{t: t, ceiling: ceilingAddr, p: p}
	if ph.bound, err = ph.open(o.sessions, true); err != nil {
		return err
	}
	if ph.bearer, err = ph.open(o.sessions, false); err != nil {
		return err
	}
	token, err := ph.ceilingToken()
	if err != nil {
		return err
	}
	for _, s := range ph.scenarios(token) {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		for _, n := range conns {
			if err := ph.measure(ctx, o, s, n, database); err != nil {
				return fmt.Errorf("%s, %d connections: %w", s.name, n, err)
			}
		}
	}
	fmt.Printf("%.0f MiB resident after the load (bar 64)\n", t.resident())
	return nil
}

func (ph *phones) ceilingToken() (string, error) {
	c, err := dial(ph.ceiling)
	if err != nil {
		return "", err
	}
	defer c.close()
	status, body, err := c.post(ph.ceiling, "/sign", "x=y")
	if err := ok200(status, body, err); err != nil {
		return "", err
	}
	token, _ := member(body, "access_token")
	return token, nil
}

// measure runs one load on the ceiling, then on the server, and prints a line.
func (ph *phones) measure(ctx context.Context, o options, s scenario, conns int, database string) error {
	if err := s.prepare(conns, o.duration); err != nil {
		return err
	}
	bare, err := run(ph.ceiling, conns, o.duration, func(n int) step { return s.ceiling(conns, n) })
	if err != nil {
		return fmt.Errorf("ceiling: %w", err)
	}
	before, err := readFigures(ctx, database)
	if err != nil {
		return err
	}
	r, err := run(ph.t.addr, conns, o.duration, func(n int) step { return s.server(conns, n) })
	if err != nil {
		return err
	}
	after, err := readFigures(ctx, database)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%-19s %3d conns %7.0f/s  p50 %6.2f  p95 %6.2f  p99 %6.2f ms  ceiling %7.0f/s  ratio %3.0f%%",
		s.name, conns, r.perSecond(), ms(r.p50), ms(r.p95), ms(r.p99), bare.perSecond(), 100*r.perSecond()/bare.perSecond())
	if s.bar > 0 && conns >= 64 {
		line += fmt.Sprintf(" (bar %.0f%%)", 100*s.bar)
	}
	if s.rotates {
		line += after.since(before, r.requests)
	}
	fmt.Println(line)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
