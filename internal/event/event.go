// Package event carries the one event of a request from the door to the rooms below and back: rules and evidence
// add fields to it and never log. It refuses nothing and knows no HTTP.
package event

import (
	"context"
	"encoding"
	"log/slog"
	"sync"
)

// Event collects what one request has to say; it is written once, when the request is answered.
type Event struct {
	ID string // the request id, also in answers with server_error and in audit rows
	IP string // truncated client address

	mu    sync.Mutex
	attrs []slog.Attr
}

type ctxKey struct{}

// With returns a context that carries e.
func With(ctx context.Context, e *Event) context.Context { return context.WithValue(ctx, ctxKey{}, e) }

// From returns the event of ctx; outside a request it is a fresh one that nobody reads.
func From(ctx context.Context) *Event {
	if e, ok := ctx.Value(ctxKey{}).(*Event); ok {
		return e
	}
	return &Event{}
}

// Add appends a field. Never pass a token, a secret or an upstream document.
func Add(ctx context.Context, key string, value any) {
	e := From(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if id, ok := value.(encoding.TextMarshaler); ok {
		if text, err := id.MarshalText(); err == nil {
			value = string(text) // what the log's JSON encoder would write, which finds it with more effort
		}
	}
	if e.attrs == nil {
		e.attrs = make([]slog.Attr, 0, 8)
	}
	e.attrs = append(e.attrs, slog.Any(key, value))
}

// Cut makes a text that came from outside fit for a field: its beginning, at most most bytes, and a ? for each that is no
// printable ASCII.
func Cut(text string, most int) string {
	out := []byte(text[:min(len(text), most)])
	for i, c := range out {
		if c < 0x20 || c > 0x7e {
			out[i] = '?'
		}
	}
	return string(out)
}

// Attrs returns the fields added so far.
func (e *Event) Attrs() []slog.Attr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]slog.Attr(nil), e.attrs...)
}
