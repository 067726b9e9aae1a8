package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Behaviour is how a provider treats its visitors. The zero value is a healthy provider. For a refused connection
// see [Provider.Stop].
type Behaviour struct {
	Status     int             // answer everything with this status, such as 503
	Slow       time.Duration   // answer only after this time, or never if the visitor leaves before
	Until      <-chan struct{} // answer only after this channel is closed
	RedirectTo string          // answer everything with a 302 to this address
	JWKSBytes  int             // pad the key set to at least this many bytes
}

// Behave sets the behaviour from the next request on.
func (p *Provider) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// Requests counts the requests that reached a path, such as "/jwks", whatever they were answered.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// behaving counts a request and answers it as the behaviour says.
func (p *Provider) behaving(healthy http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests[r.URL.Path]++
		b := p.behaviour
		p.mu.Unlock()
		if hold(r.Context(), b.Slow, b.Until) != nil {
			return
		}
		switch {
		case b.RedirectTo != "":
			http.Redirect(w, r, b.RedirectTo, http.StatusFound)
		case b.Status != 0:
			http.Error(w, http.StatusText(b.Status), b.Status)
		default:
			healthy.ServeHTTP(w, r)
		}
	})
}

// hold waits for a time, and for a channel if there is one.
func hold(ctx context.Context, d time.Duration, until <-chan struct{}) error {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if until == nil {
		return ctx.Err()
	}
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Provider) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	set, err := p.publishedSet()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	size := p.behaviour.JWKSBytes
	p.mu.Unlock()
	if missing := size - len(set); missing > 0 {
		set = append(set, strings.Repeat(" ", missing)...) // still one JSON document: only its size is wrong
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", int(p.maxAge.Seconds())))
	_, _ = w.Write(set)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
