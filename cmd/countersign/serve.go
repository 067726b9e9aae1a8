package main

import (
	"fmt"
	"runtime"

	"github.com/countersign/countersign/internal/app"
)

type serveCmd struct {
	configured
	NoMigrate bool `help:"Leave the database schema alone; \"countersign migrate\" is run beforehand."`
}

// Help is shown below the flags.
func (serveCmd) Help() string {
	return `The environment overrides the file: COUNTERSIGN_ISSUER, COUNTERSIGN_LISTEN, COUNTERSIGN_ADMIN_LISTEN,
COUNTERSIGN_DATABASE, COUNTERSIGN_MASTER_KEY, COUNTERSIGN_TLS_CERT_FILE, COUNTERSIGN_TLS_KEY_FILE,
COUNTERSIGN_LOG_FORMAT, COUNTERSIGN_LOG_LEVEL. DATABASE and MASTER_KEY also work with _FILE at the end.

The server stops on SIGTERM and SIGINT after it has answered the requests in flight.`
}

// Run serves until it is told to stop.
func (s *serveCmd) Run(c *console) error {
	cfg, err := s.load(c)
	if err != nil {
		return err
	}
	floor := make([]byte, heapFloor)
	defer runtime.KeepAlive(floor)
	a, err := app.New(c.ctx, cfg, app.Options{Stderr: c.err, Banner: c.out, NoMigrate: s.NoMigrate})
	if err != nil {
		return err
	}
	return a.Run(c.ctx)
}

// heapFloor is asked for and never touched, so that it takes address space and no memory. The collector runs whenever
// the heap has doubled, and what a server keeps is a few MiB: without a floor that is a hundred times a second under
// load, and each time cuts back the stacks which the next requests grow again (docs/decisions/0005). A floor and no
// GOGC of ours, because a heap that is large by itself is then left alone.
const heapFloor = 12 << 20

type migrateCmd struct{ configured }

// Run migrates and says how far.
func (m *migrateCmd) Run(c *console) error {
	cfg, err := m.load(c)
	if err != nil {
		return err
	}
	steps, err := app.Migrate(c.ctx, cfg)
	if err != nil {
		return err
	}
	if steps == 0 {
		_, err = fmt.Fprintf(c.out, "The database %s is up to date.\n", cfg.RedactedDatabase())
		return err
	}
	_, err = fmt.Fprintf(c.out, "The database %s is up to date after %s.\n", cfg.RedactedDatabase(), count(steps, "step"))
	return err
}
