// Package httpd is what all doors share: routes in one table, middleware (id, caps, deadline, event, no-store), strict
// form and JSON decoding, error writers, rate limits. No rule lives here.
package httpd

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
)

// Route is one line of a door's table.
type Route struct {
	Method  string
	Path    string // ServeMux pattern without method
	Handler http.HandlerFunc
	CORS    bool // answers browser clients' origins
	DPoP    bool // every answer, errors too, carries a fresh DPoP-Nonce
	Page    bool // people see it: the middleware's errors are pages too
	NoHead  bool // a GET that is a step of a trip: asking for its head alone is no step
}

// Observe is told of every answer, for metrics; said is what the rules added to the request's event.
type Observe func(route string, status int, took time.Duration, said []slog.Attr)

// PageError writes an error as a page.
type PageError func(w http.ResponseWriter, r *http.Request, err error)

// Options of the middleware.
type Options struct {
	Log            *slog.Logger
	Observe        Observe
	Host           string                   // only this Host is answered in dev mode; "" answers any
	MaxBody        int64                    // zero: 64 KiB
	BodyRoom       int64                    // what bodies may take together, see bodyRoom; zero: 32 MiB; beyond it 503
	Deadline       time.Duration            // zero: 10 s
	InFlight       int                      // zero: 512; beyond it requests wait at most 100 ms, then 503; negative lifts
	Origin         func(origin string) bool // for CORS routes
	DPoPNonce      func() string            // minted for every answer of a DPoP route
	TrustedProxies []string                 // CIDRs whose X-Forwarded-For is believed
	Page           PageError                // writes an error of the middleware where people see it; nil: JSON
	HTTPSOnly      bool                     // browsers are told to come over https and nothing else (RFC 6797)
	Problems       []string                 // APIs, as /admin/v1, below which the middleware's errors are problem+json
}

// Handler builds one listener's handler from the doors' tables. Wrong methods are 405 with Allow, unknown paths 404.
// It panics on what only a programmer or an unchecked configuration can get wrong: two routes for one method and
// path, a proxy range that is no CIDR.
func Handler(o Options, tables ...[]Route) http.Handler {
	l := &listener{Options: o.withDefaults(), mux: http.NewServeMux()}
	l.gate = newGate(l.InFlight)
	l.bodies.left.Store(l.BodyRoom)
	for _, cidr := range o.TrustedProxies {
		l.proxies = append(l.proxies, netip.MustParsePrefix(cidr))
	}

	places := map[string]*place{}
	for _, table := range tables {
		for _, route := range table {
			p := places[route.Path]
			if p == nil {
				p = &place{listener: l, pattern: route.Path}
				places[route.Path] = p
				l.mux.Handle(route.Path, p)
			}
			p.add(route)
		}
	}
	l.nowhere = &place{listener: l, pattern: "none"}
	if places["/"] == nil {
		l.mux.Handle("/", l.nowhere)
	}
	return l
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 10
	}
	if o.BodyRoom == 0 {
		o.BodyRoom = 32 << 20
	}
	if o.Deadline == 0 {
		o.Deadline = 10 * time.Second
	}
	if o.InFlight == 0 {
		o.InFlight = 512
	}
	return o
}

// listener is everything one listener serves.
type listener struct {
	Options
	mux     *http.ServeMux
	gate    *gate
	bodies  bodyRoom
	proxies []netip.Prefix
	nowhere *place
}

// ServeHTTP refuses paths that are not in their shortest form instead of redirecting to it: a redirected POST loses
// its body, and two spellings of one path are how access rules in front of us are got round.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != path.Clean(r.URL.Path) {
		l.nowhere.ServeHTTP(w, r)
		return
	}
	l.mux.ServeHTTP(w, r)
}

// place is one path of the table with its methods.
type place struct {
	*listener
	pattern string
	routes  []Route
	allow   string // for the Allow header
	cors    bool
	dpop    bool
	page    bool
}

func (p *place) add(route Route) {
	if p.route(route.Method) != nil {
		panic("httpd: two routes for " + route.Method + " " + route.Path)
	}
	p.routes = append(p.routes, route)
	p.cors = p.cors || route.CORS
	p.dpop = p.dpop || route.DPoP
	p.page = p.page || route.Page

	var methods []string
	for _, r := range p.routes {
		methods = append(methods, r.Method)
		if r.Method == http.MethodGet && !r.NoHead {
			methods = append(methods, http.MethodHead)
		}
	}
	if p.cors {
		methods = append(methods, http.MethodOptions)
	}
	p.allow = strings.Join(methods, ", ")
}

func (p *place) route(method string) *Route {
	for i := range p.routes {
		r := &p.routes[i]
		if r.Method == method || (method == http.MethodHead && r.Method == http.MethodGet && !r.NoHead) {
			return r
		}
	}
	return nil
}

// ServeHTTP takes one request in and out: its event is opened here and written here, whatever happens below.
func (p *place) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr := p.clientAddr(r)
	x := &exchange{ResponseWriter: w, place: p, began: time.Now()}
	x.event.ID = rand.Text()
	x.event.IP = truncated(addr)

	ctx, cancel := context.WithTimeout(event.With(r.Context(), &x.event), p.Deadline)
	defer cancel()
	r = r.WithContext(ctx)
	r.RemoteAddr = addr.String()
	defer x.finish(r)
	p.answer(x, r)
}

// answer is the way of a request through the middleware.
func (p *place) answer(x *exchange, r *http.Request) {
	// 1. what every answer carries
	p.setHeaders(x)
	if len(r.TransferEncoding) > 0 {
		// net/http reads the chunks and drops a Content-Length beside them without a word, so that we cannot refuse the
		// two together (PX04). Nothing that follows on this connection is believed (RFC 9112 §6.1).
		x.Header()["Connection"] = closing
	}
	// 2. in dev mode only our own name is answered: a page that rebinds its DNS name to us sends another Host
	if p.Host != "" && !strings.EqualFold(r.Host, p.Host) {
		p.refuse(x, r, refuse(http.StatusMisdirectedRequest, "This server answers only to "+p.Host+"."))
		return
	}
	// 3. is there such a path; may this origin ask; is there such a method
	if len(p.routes) == 0 {
		p.refuse(x, r, refuse(http.StatusNotFound, "There is nothing at this path. The metadata document lists the endpoints."))
		return
	}
	if p.cors && p.crossOrigin(x, r) {
		return
	}
	route := p.route(r.Method)
	if route == nil {
		x.Header()["Allow"] = []string{p.allow}
		p.refuse(x, r, refuse(http.StatusMethodNotAllowed, "This endpoint takes "+p.allow+"."))
		return
	}
	// 4. the body, up to its cap and at its sender's pace, which is nobody else's yet
	if r.ContentLength > p.MaxBody {
		p.refuse(x, r, errTooLarge)
		return
	}
	if r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(x.ResponseWriter, r.Body, p.MaxBody)
		body := takeBody(r, &p.bodies)
		defer p.bodies.give(body.source.taken)
		if errors.Is(body.err, errNoRoom) {
			p.refuse(x, r, oauth.Unavailable(errNoRoom))
			return
		}
		r.Body = body
	}
	// 5. a place among those in flight
	if !p.gate.enter(r.Context()) {
		p.refuse(x, r, oauth.Unavailable(errOverload))
		return
	}
	defer p.gate.leave()
	// 6. the door
	route.Handler(x, r)
}

// refuse writes an error of the middleware as the API at that path writes its own (DESIGN section 7).
func (p *place) refuse(w http.ResponseWriter, r *http.Request, err error) {
	for _, api := range p.Problems {
		if rest, ok := strings.CutPrefix(r.URL.Path, api); ok && (rest == "" || rest[0] == '/') {
			ProblemError(w, r, err)
			return
		}
	}
	if p.page && p.Page != nil {
		p.Page(w, r, err)
		return
	}
	OAuthError(w, r, err, false)
}

// Header values are shared between answers and never changed in place; a handler that sets its own replaces them.
var (
	noStore    = []string{"no-store"}
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	closing    = []string{"close"}
	noContent  = []string{"default-src 'none'; frame-ancestors 'none'"}
	// A year, and this host alone: what else runs below the domain is not ours to decide (FAPI 2.0 §5.2.3).
	httpsOnly = []string{"max-age=31536000"}
)

func (p *place) setHeaders(x *exchange) {
	h := x.Header()
	h["X-Request-Id"] = []string{x.event.ID}
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h["Content-Security-Policy"] = noContent
	if p.HTTPSOnly {
		h["Strict-Transport-Security"] = httpsOnly
	}
	if p.dpop && p.DPoPNonce != nil {
		h["Dpop-Nonce"] = []string{p.DPoPNonce()}
	}
}
