package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// stopWithin bounds how long a stop waits for requests in flight; each has a deadline of 10 s of its own.
const stopWithin = 15 * time.Second

var errStopping = errors.New("the server is stopping")

// Run serves until ctx ends, then stops in order: no new requests, those in flight are answered, background jobs end,
// the database closes. It returns nil after such a stop.
func (a *App) Run(ctx context.Context) error {
	// Jobs and requests outlive ctx until they are done.
	background, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopJobs()
	var jobs sync.WaitGroup
	a.startJobs(background, &jobs)

	failed := make(chan error, len(a.servers()))
	go func() { failed <- serve(a.public, a.publicListener) }()
	go func() { failed <- serve(a.admin, a.adminListener) }()
	addresses := []any{"issuer", a.config.Issuer, "public", a.PublicURL(), "admin", a.AdminURL()}
	if a.mutual != nil {
		go func() { failed <- serve(a.mutual, a.mutualListener) }()
		addresses = append(addresses, "mtls", a.MutualURL())
	}
	close(a.ready)
	a.log.Info("serving", addresses...)

	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err = <-failed:
	}
	a.draining.Store(true)
	err = errors.Join(err, a.shutdown(ctx))
	stopJobs()
	jobs.Wait()
	return errors.Join(err, a.Close())
}

// serve serves one listener until it is shut down.
func serve(s *http.Server, l net.Listener) error {
	var err error
	if s.TLSConfig != nil {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

// shutdown lets requests in flight finish: the public ones first, while probes still see that this node is stopping.
func (a *App) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	var errs []error
	for _, s := range a.servers() {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop: %w", err), s.Close())
		}
	}
	return errors.Join(errs...)
}

// How often the background jobs run. Two rounds of the first are what a node may be behind with the catalog.
const (
	catalogEvery = time.Second
	clockEvery   = 30 * time.Second
	sweepEvery   = 5 * time.Minute
)

func (a *App) startJobs(ctx context.Context, jobs *sync.WaitGroup) {
	jobs.Go(func() { a.ring.Run(ctx) })
	jobs.Go(func() { a.signIn.RunOutbox(ctx) })
	jobs.Go(func() { a.farewells.Run(ctx) })
	for _, p := range a.providers {
		jobs.Go(func() { p.Run(ctx) })
	}
	jobs.Go(func() { a.every(ctx, catalogEvery, "read the catalog", a.followCatalog) })
	if !a.givenClock {
		jobs.Go(func() { a.every(ctx, clockEvery, "compare clocks with the database", a.measureClock) })
	}
	jobs.Go(func() { a.every(ctx, sweepEvery, "sweep", a.sweep) })
}

// every runs a job at intervals until ctx ends. A failure is logged when it begins and when it is over, not every time.
func (a *App) every(ctx context.Context, interval time.Duration, name string, job func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := safely(ctx, job)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			a.log.Error("background job fails", "job", name, "cause", err)
		case err == nil && failing:
			a.log.Info("background job works again", "job", name)
		}
		failing = err != nil
	}
}

// safely makes a panic of a job its failure: the next round may do better, and requests are served meanwhile.
func safely(ctx context.Context, job func(context.Context) error) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("panic: %v\n%s", caught, debug.Stack())
		}
	}()
	return job(ctx)
}

// jobWithin bounds one round of a background job that asks the database something small.
const jobWithin = 5 * time.Second

// declare writes what the configuration declares into the database and reads back what holds. A file older than what
// another node has declared, as in the midst of a roll-out, declares nothing: this node serves what holds.
func (a *App) declare(ctx context.Context) error {
	err := a.db.PutCatalog(ctx, a.config.Catalog())
	older := errors.Is(err, store.ErrOlderRevision)
	if err != nil && !older {
		return fmt.Errorf("write clients and resources to the database: %w", err)
	}
	if err := a.readCatalog(ctx); err != nil {
		return err
	}
	if older {
		a.log.Warn("clients and resources of this configuration were left out, because a newer revision was declared before; "+
			"this node serves those of the database. Install the newest file here, or, if this one is right, raise its revision above the declared one",
			"revision", a.config.Revision, "declared", a.catalog.Load().Revision)
	}
	return nil
}

func (a *App) readCatalog(ctx context.Context) error {
	c, err := a.db.Catalog(ctx)
	if err != nil {
		return fmt.Errorf("read clients and resources: %w", err)
	}
	a.catalog.Store(c)
	return nil
}

// followCatalog reads the catalog again when another node, or the operator, changed it.
func (a *App) followCatalog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, jobWithin)
	defer cancel()
	version, err := a.db.CatalogVersion(ctx)
	if err != nil || version == a.catalog.Load().Version {
		return err
	}
	return a.readCatalog(ctx)
}

func (a *App) measureClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, jobWithin)
	defer cancel()
	_, err := a.db.MeasureClock(ctx)
	return err
}

func (a *App) sweep(ctx context.Context) error {
	swept, err := a.db.Sweep(ctx, a.db.Now())
	if err == nil {
		a.log.Debug("swept", "nonces", swept.Nonces, "sessions", swept.Sessions, "devices", swept.Devices,
			"events", swept.Events, "keys", swept.Keys, "outbox", swept.Outbox,
			"flows", swept.Flows, "browsers", swept.Browsers, "tallies", swept.Tallies, "notices", swept.Notices,
			"registration_tokens", swept.RegistrationTokens, "registrations", swept.Registrations)
	}
	return err
}

// notReady says what keeps this node from work, as a word anybody may read and with its cause for the log; "" where
// nothing does.
func (a *App) notReady(ctx context.Context) (reason string, cause error) {
	if a.draining.Load() {
		return "stopping", errStopping
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := a.db.Ready(ctx); err != nil {
		return unfit(err, "database"), err
	}
	if err := a.ring.Ready(); err != nil {
		return unfit(err, "keys"), err
	}
	return "", nil
}

// unfit finds the word for what is wrong, where it is not all that was asked.
func unfit(err error, all string) string {
	switch {
	case errors.Is(err, store.ErrNotMigrated):
		return "schema"
	case errors.Is(err, store.ErrClock):
		return "clock"
	}
	return all
}
