// Package app builds everything from a Config and runs it: listeners, background jobs, graceful stop. It is the only
// room that sees all others, and holds no rule of its own: what is decided here is which part gets which.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/backchannel"
	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/registration"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/upstream"
)

// Options of New that no operator sets.
type Options struct {
	Log       *slog.Logger // nil: as the configuration says, on Stderr
	Stderr    io.Writer    // nil: os.Stderr
	Banner    io.Writer    // where dev mode introduces itself; nil: nowhere
	NoMigrate bool         // leave the schema to `countersign migrate`
	// Public and Admin are listeners made beforehand, where the port must be known before the issuer is; nil: those
	// of the configuration.
	Public, Admin net.Listener
	MTLS          net.Listener     // the same for mtls.listen
	Clock         func() time.Time // nil: this machine's, set right by the database's; a clock given here is the truth
	Keys          keyring.Options
	Roots         *x509.CertPool // whose certificates the servers we fetch from may have; nil: the system's
}

// App is a built server. Run serves it; Close is for one that never runs.
type App struct {
	config *config.Config
	log    *slog.Logger

	db           *store.DB
	ring         *keyring.Ring
	catalog      atomic.Pointer[domain.Catalog]
	providers    []*upstream.Provider
	signIn       *signin.Service
	tokens       *token.Service
	clients      *clientauth.Service
	outbound     *fetch.Client
	documents    *fetch.Client
	farewells    *backchannel.Service
	registration *registration.Service // nil: every client is declared
	apiKeys      *apikey.Service
	hosted       hosted
	metrics      *metrics

	publicListener, adminListener net.Listener
	public, admin                 *http.Server
	mutualListener                net.Listener // nil: nobody is asked for a certificate
	mutual                        *http.Server

	givenClock bool          // Options.Clock: never compared with the database's
	ready      chan struct{} // closed when the first request would be answered
	draining   atomic.Bool   // stopping: load balancers should look elsewhere
	unready    atomic.Value  // string: why the last probe was told that this node is not ready; "" when it was
}

// New opens the database, brings its schema up to date, loads the keys and listens. Nothing is served before Run.
func New(ctx context.Context, c *config.Config, o Options) (_ *App, err error) {
	a := &App{config: c, log: o.logger(c), metrics: newMetrics(), givenClock: o.Clock != nil, ready: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, w := range c.Warnings() {
		a.log.Warn(w)
	}
	a.sayWhoRegisters()
	if a.db, err = openStore(ctx, c, o); err != nil {
		return nil, err
	}
	if err := a.warnOfLosses(ctx); err != nil {
		return nil, err
	}
	if a.ring, err = openRing(ctx, c, a.db, o.Keys); err != nil {
		return nil, err
	}
	if err := a.declare(ctx); err != nil {
		return nil, err
	}
	a.fetchers(o)
	if err := a.build(); err != nil {
		return nil, err
	}
	if err := a.listen(ctx, o); err != nil {
		return nil, err
	}
	if c.Dev && o.Banner != nil {
		writeBanner(o.Banner, a)
	}
	return a, nil
}

// Close releases what New took. Run does it by itself.
func (a *App) Close() error {
	var errs []error
	for _, l := range []net.Listener{a.publicListener, a.mutualListener, a.adminListener} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	return errors.Join(errs...)
}

// Ready is closed once all listeners serve.
func (a *App) Ready() <-chan struct{} { return a.ready }

// PublicURL is where the public listener is reached on this machine; apps use the issuer.
func (a *App) PublicURL() string { return a.url(a.publicListener, a.config.TLS.On()) }

// AdminURL is where the private listener is reached on this machine.
func (a *App) AdminURL() string { return a.url(a.adminListener, false) }

func (a *App) url(l net.Listener, secure bool) string {
	if secure {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// listen takes all ports before anything is announced, so that a taken one stops the start.
func (a *App) listen(ctx context.Context, o Options) (err error) {
	if a.publicListener, err = listener(ctx, o.Public, a.config.Listen, "listen"); err != nil {
		return err
	}
	if a.adminListener, err = listener(ctx, o.Admin, a.config.Admin.Listen, "admin.listen"); err != nil {
		return err
	}
	if a.config.MTLS.On() {
		if a.mutualListener, err = listener(ctx, o.MTLS, a.config.MTLS.Listen, "mtls.listen"); err != nil {
			return err
		}
	}
	public := a.publicHandler() // one for both ways to it: limits and the memory of proofs are one
	a.public, a.admin = httpd.Server(public), httpd.Server(a.adminHandler())
	if a.config.TLS.On() {
		if a.public.TLSConfig, err = newCertificate(a.config.TLS, a.log).config(); err != nil {
			return err
		}
	}
	if a.mutualListener != nil {
		a.mutual = a.mutualServer(public, a.public.TLSConfig)
	}
	for _, s := range a.servers() {
		s.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug) // what strangers do to our sockets
	}
	return nil
}

// servers are those that are built, in the order in which they stop: the private one last, so that probes see it.
func (a *App) servers() []*http.Server {
	if a.mutual == nil {
		return []*http.Server{a.public, a.admin}
	}
	return []*http.Server{a.public, a.mutual, a.admin}
}

func listener(ctx context.Context, made net.Listener, address, key string) (net.Listener, error) {
	if made != nil {
		return made, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; stop what uses the address, or choose another", key, err)
	}
	return l, nil
}
