package standin

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// maxCarried bounds a body the network carries.
const maxCarried = 32 << 20

// parcel is one request, read to its end, so that it can be lost, cut and sent twice.
type parcel struct {
	method, host, target string
	url                  *url.URL
	header               http.Header
	body                 []byte
}

// reply is a server's answer, read to its end. nil is no answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// carry takes one request over the network.
func (n *Network) carry(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		http.Error(w, "The stand-in network carries plain http only.", http.StatusNotImplemented)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCarried))
	if err != nil {
		panic(http.ErrAbortHandler) // the phone itself broke off
	}
	p := &parcel{
		method: r.Method, host: r.Host, target: n.target(r.Host), url: r.URL, header: endToEnd(r.Header), body: body,
	}
	if err := loopback(p.target); err != nil {
		http.Error(w, "The stand-in network: "+err.Error(), http.StatusForbidden)
		return
	}
	fault := n.fate(p.url.Path)
	answer, heard := n.suffer(r.Context(), p, fault)
	n.tell(p.delivery(fault, answer))
	if answer == nil || !heard {
		panic(http.ErrAbortHandler) // net/http cuts the connection without a word
	}
	answer.write(w, fault.Kind == CutResponse)
}

// suffer delivers a parcel under a fault. It returns the server's answer and whether the phone gets to hear it.
func (n *Network) suffer(ctx context.Context, p *parcel, f Fault) (answer *reply, heard bool) {
	switch f.Kind {
	case LoseRequest:
		return nil, false
	case CutRequest:
		n.deliverHalf(ctx, p)
		return nil, false
	case LoseResponse, CutResponse, LateResponse:
		// The server finishes its answer even if the phone hangs up meanwhile.
		background, cancel := context.WithTimeout(context.WithoutCancel(ctx), carryTimeout)
		defer cancel()
		answer = n.deliver(background, p)
		return answer, f.Kind != LoseResponse && hold(ctx, f.After, f.Until) == nil
	case Duplicate:
		answer = n.deliver(ctx, p)
		n.sendCopy(p, f)
		return answer, true
	case Deliver:
	}
	if hold(ctx, f.After, f.Until) != nil {
		return nil, false
	}
	return n.deliver(ctx, p), true
}

// sendCopy puts the second copy of a duplicate on its way, unless the network has been closed.
func (n *Network) sendCopy(p *parcel, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.closed:
	default:
		n.copies++
		go n.deliverCopy(p, f)
	}
}

// deliverCopy delivers it; nobody hears its answer.
func (n *Network) deliverCopy(p *parcel, f Fault) {
	defer n.copyLanded()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-n.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	if hold(ctx, f.After, f.Until) != nil {
		return
	}
	d := p.delivery(f, n.deliver(ctx, p))
	d.Copy = true
	n.tell(d)
}

func (n *Network) copyLanded() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.copies--
	n.landed.Broadcast()
}

func (p *parcel) delivery(f Fault, answer *reply) Delivery {
	d := Delivery{Method: p.method, URL: "http://" + p.host + p.url.RequestURI(), Fault: f.Kind}
	if answer != nil {
		d.Status, d.Body = answer.status, answer.body
	}
	return d
}

// request is the parcel on its way to its target, under the Host it was sent to.
func (p *parcel) request(ctx context.Context) (*http.Request, error) {
	to := *p.url
	to.Scheme, to.Host = "http", p.target
	r, err := http.NewRequestWithContext(ctx, p.method, to.String(), bytes.NewReader(p.body))
	if err != nil {
		return nil, err
	}
	r.Host, r.Header = p.host, p.header.Clone()
	return r, nil
}

func (n *Network) deliver(ctx context.Context, p *parcel) *reply {
	r, err := p.request(ctx)
	if err != nil {
		return nil
	}
	resp, err := n.out.RoundTrip(r)
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	answer := &reply{status: resp.StatusCode, header: endToEnd(resp.Header)}
	if answer.body, err = io.ReadAll(io.LimitReader(resp.Body, maxCarried)); err != nil {
		return nil
	}
	return answer
}

// deliverHalf sends the headers and half of the body, then hangs up.
func (n *Network) deliverHalf(ctx context.Context, p *parcel) {
	r, err := p.request(ctx)
	if err != nil {
		return
	}
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		return
	}
	wire.Truncate(wire.Len() - (len(p.body)+1)/2)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	_, _ = conn.Write(wire.Bytes())
	_ = conn.Close()
}

func (a *reply) write(w http.ResponseWriter, cut bool) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	body := a.body
	if cut {
		// More is promised than comes, even for an empty body.
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)+1))
		body = body[:len(body)/2]
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(body)
	if cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// endToEnd drops the headers that belong to one connection (RFC 9110 §7.6.1).
func endToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, name := range []string{
		"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade",
	} {
		out.Del(name)
	}
	return out
}
