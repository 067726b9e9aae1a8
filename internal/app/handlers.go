package app

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/httpd"
)

const adminMaxBody = 1 << 20

func (a *App) publicHandler() http.Handler {
	d := a.doors()
	return httpd.Handler(httpd.Options{
		Log:            a.log,
		Observe:        a.metrics.observer("public"),
		Host:           a.devHost(),
		InFlight:       a.config.Limits.InFlight,
		Origin:         d.clients.KnowsOrigin,
		DPoPNonce:      func() string { return d.nonces.Mint(a.db.Now()) },
		TrustedProxies: networks(a.config.TrustedProxies),
		HTTPSOnly:      strings.HasPrefix(a.config.Issuer, "https://"),
		Problems:       []string{"/account/v1"},
		Page:           d.pages.Fail,
	}, d.oauth.Routes(), d.account.Routes(), d.pages.Routes())
}

func (a *App) adminHandler() http.Handler {
	o := httpd.Options{
		Log:      a.log.With("listener", "admin"),
		Observe:  a.metrics.observer("admin"),
		Host:     a.devAdminHost(),
		MaxBody:  adminMaxBody,
		Problems: []string{"/admin/v1"},
	}
	api := httpd.Handler(o, a.adminDoor().Routes())
	o.Log = slog.New(quiet{o.Log.Handler()})
	probes := httpd.Handler(o, a.operatorRoutes())

	// No second mux: it would redirect from other spellings of a path before the first could refuse them (AD06).
	probed := map[string]bool{}
	for _, r := range a.operatorRoutes() {
		probed[r.Path] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probed[r.URL.Path] {
			probes.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// operatorRoutes are for probes and for whoever watches the figures.
func (a *App) operatorRoutes() []httpd.Route {
	return []httpd.Route{
		{Method: http.MethodGet, Path: "/healthz", Handler: a.healthz},
		{Method: http.MethodGet, Path: "/readyz", Handler: a.readyz},
		{Method: http.MethodGet, Path: "/metrics", Handler: a.metrics.handler().ServeHTTP},
	}
}

// devHost is the only Host dev mode answers to: a web page that rebinds its own DNS name to this machine is refused.
func (a *App) devHost() string {
	if !a.config.Dev {
		return ""
	}
	u, err := url.Parse(a.config.Issuer)
	if err != nil {
		return "" // Validate let no such issuer through
	}
	return u.Host
}

// devAdminHost is the same for the private listener.
func (a *App) devAdminHost() string {
	if !a.config.Dev {
		return ""
	}
	if strings.HasSuffix(a.config.Admin.Listen, ":0") {
		return strings.TrimPrefix(a.AdminURL(), "http://")
	}
	return strings.TrimPrefix(a.config.AdminURL(), "http://")
}

// networks writes single addresses as the networks they are.
func networks(proxies []string) []string {
	list := make([]string, 0, len(proxies))
	for _, p := range proxies {
		if addr, err := netip.ParseAddr(p); err == nil {
			p = netip.PrefixFrom(addr, addr.BitLen()).String()
		}
		list = append(list, p)
	}
	return list
}

// healthz says that the process answers: what a liveness probe wants to know, and nothing a restart would not mend.
func (a *App) healthz(w http.ResponseWriter, r *http.Request) {
	httpd.WriteJSON(w, r, http.StatusOK, map[string]string{"status": "ok"})
}

// readyWithin bounds how long a readiness probe waits for the database.
const readyWithin = 2 * time.Second

// readyz says whether this node should get work: the database answers, its schema and its clock fit, the keys are
// read, and the server is not stopping. The answer names which of them it is; the cause, with addresses and names of the
// database in it, is for the log alone.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) {
	reason, cause := a.notReady(r.Context())
	if r.Context().Err() == nil { // else the probe left early, and that is no verdict on this node
		a.tellReadiness(reason, cause)
	}
	if reason != "" {
		httpd.WriteJSON(w, r, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": reason})
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, map[string]string{"status": "ready"})
}

// tellReadiness logs when a reason not to be ready begins and when the last one is gone, however often probes ask.
func (a *App) tellReadiness(reason string, cause error) {
	before, _ := a.unready.Swap(reason).(string)
	switch reason {
	case before:
	case "":
		a.log.Info("ready again", "after", before)
	default:
		a.log.Warn("not ready", "reason", reason, "cause", cause)
	}
}
