package standin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Network is a lossy network: an HTTP proxy on loopback. A phone whose HTTP client is [Network.Client] speaks to
// servers under their own addresses, and the network does to each request what a script or the weather says. Method,
// path, Host and headers arrive as they were sent, so that DPoP proofs hold.
//
// It carries plain HTTP between loopback addresses and nothing else. Anything that can be told of an HTTP proxy can
// use its URL, such as an emulator or curl.
//
// Its methods may be called from several goroutines.
type Network struct {
	server *http.Server
	addr   string
	out    *http.Transport
	closed chan struct{}

	mu      sync.Mutex
	landed  *sync.Cond // with mu: copies fell
	copies  int        // second copies still on their way
	offline bool
	script  []scripted
	weather *weather
	routes  map[string]*route
	observe func(Delivery)
}

// scripted is a fault waiting for the next request to a path.
type scripted struct {
	path  string
	fault Fault
}

// route spreads the requests for one host over nodes, in turn.
type route struct {
	nodes []string
	next  int
}

// Delivery tells what became of one request.
type Delivery struct {
	Method, URL string
	Fault       FaultKind
	Copy        bool   // the second copy of a duplicate
	Status      int    // the server's answer; 0: it gave none
	Body        []byte // of the server's answer, also if the phone never saw it
}

// NewNetwork starts a network without faults.
func NewNetwork() (*Network, error) {
	l, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &Network{
		addr: l.Addr().String(), closed: make(chan struct{}), routes: map[string]*route{},
		// A connection per request: what happens to one touches no other, and nothing is silently repeated (C3).
		out: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	}
	n.landed = sync.NewCond(&n.mu)
	n.server = serve(l, http.HandlerFunc(n.carry))
	return n, nil
}

// URL is the address of the proxy.
func (n *Network) URL() string { return "http://" + n.addr }

// Client returns an HTTP client whose requests all go through the network. It follows no redirects and repeats
// nothing by itself (C1, C3).
func (n *Network) Client() *http.Client {
	proxy := &url.URL{Scheme: "http", Host: n.addr}
	return &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Route sends requests for a host ("localhost:8080", as in the issuer) to one or several nodes in turn
// ("127.0.0.1:9001"), as a load balancer would. Without nodes they go where they say again.
func (n *Network) Route(host string, nodes ...string) error {
	for _, node := range nodes {
		if err := loopback(node); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(nodes) == 0 {
		delete(n.routes, host)
		return nil
	}
	n.routes[host] = &route{nodes: slices.Clone(nodes)}
	return nil
}

// Next lets faults happen to the next requests for a path such as "/token" ("" is any), one each, in order. Scripted
// faults come before random ones.
func (n *Network) Next(path string, faults ...Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range faults {
		n.script = append(n.script, scripted{path: path, fault: f})
	}
}

// Random lets faults happen at random from a seed; the zero Rates make the weather fine again. With one request at a
// time the same seed brings the same faults.
func (n *Network) Random(seed uint64, rates Rates) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather = newWeather(seed, rates)
}

// Offline switches flight mode on or off: while it is on every request is lost.
func (n *Network) Offline(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.offline = on
}

// Observe sets a function that is told of every delivery when it is over. It may be called from several goroutines.
func (n *Network) Observe(f func(Delivery)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.observe = f
}

// Close stops the network, once. Copies still held back are dropped.
func (n *Network) Close() {
	n.mu.Lock()
	close(n.closed)
	n.mu.Unlock()
	_ = n.server.Close()
	n.Settle()
}

// Settle waits until every second copy on its way has been delivered. A copy held by Until waits for that.
func (n *Network) Settle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.copies > 0 {
		n.landed.Wait()
	}
}

// fate decides what happens to a request.
func (n *Network) fate(path string) Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.offline {
		return Fault{Kind: LoseRequest}
	}
	i := slices.IndexFunc(n.script, func(s scripted) bool { return s.path == "" || s.path == path })
	if i >= 0 {
		f := n.script[i].fault
		n.script = slices.Delete(n.script, i, i+1)
		return f
	}
	if n.weather != nil {
		return n.weather.draw()
	}
	return Fault{}
}

// target is where a request for host is carried to.
func (n *Network) target(host string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.routes[host]
	if !ok {
		if !strings.Contains(host, ":") {
			host += ":80"
		}
		return host
	}
	r.next++
	return r.nodes[(r.next-1)%len(r.nodes)]
}

func (n *Network) tell(d Delivery) {
	n.mu.Lock()
	f := n.observe
	n.mu.Unlock()
	if f != nil {
		f(d)
	}
}

// carryTimeout bounds what happens behind the phone's back.
const carryTimeout = 30 * time.Second
