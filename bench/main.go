// Command bench puts closed-loop load on a running Countersign and prints what it reaches beside ceilings measured
// in the same run on the same machine: a bare net/http handler that does the same signatures and verifications, and
// the engine's own rate for the same update. Speed is judged by those ratios, never by a timed test. It ends with
// each bar and whether it was reached; a bar that was missed is no error.
//
//	go run ./bench [-engines sqlite,postgres] [-conns 1,8,64] [-time 3s] [-only NAME] [-sessions 512]
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
)

type options struct {
	engines  []string
	conns    []int
	duration time.Duration // of the load on the server in one line, and of that on its ceiling
	sessions int
	only     string
}

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() error {
	if len(os.Args) == 5 && os.Args[1] == "ceiling" {
		return serveCeiling(os.Args[2], os.Args[3], os.Args[4])
	}
	o, err := parse()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return bench(ctx, o)
}

func parse() (options, error) {
	engines := flag.String("engines", "sqlite,postgres", "engines to measure")
	conns := flag.String("conns", "1,8,64", "numbers of connections")
	o := options{}
	flag.DurationVar(&o.duration, "time", 3*time.Second, "length of each run")
	flag.IntVar(&o.sessions, "sessions", 512, "sessions the refreshes are spread over, of each tier")
	flag.StringVar(&o.only, "only", "", "only loads whose name contains this")
	flag.Parse()
	o.engines = strings.Split(*engines, ",")
	for s := range strings.SplitSeq(*conns, ",") {
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
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/countersign")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w (run it from the repository's root)", err)
	}
	fmt.Println(lifted)
	var found report
	for _, engine := range o.engines {
		s := site{options: o, engine: engine, binary: binary, dir: filepath.Join(dir, engine), report: &found}
		if err := s.measureEngine(ctx); err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
	}
	found.print()
	return nil
}
