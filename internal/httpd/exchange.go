package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
)

// exchange is one request and its answer: the writer the door gets, and the event written once at the end.
type exchange struct {
	http.ResponseWriter
	place  *place
	began  time.Time
	event  event.Event
	status int // zero until the answer's headers are out
}

// WriteHeader notes the status for the event.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write notes that the status is 200 where none was set.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// finish is deferred: it turns a panic into an answer without a word about its cause, and writes the event.
func (x *exchange) finish(r *http.Request) {
	cut := false
	if caught := recover(); caught != nil {
		cut = x.caught(r, caught)
	}
	if x.status == 0 {
		x.status = http.StatusOK // what net/http sends for a handler that wrote nothing
	}
	took, said := time.Since(x.began), x.event.Attrs()
	if x.place.Observe != nil {
		x.place.Observe(x.place.pattern, x.status, took, said)
	}
	x.log(r, took, said)
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// caught reports whether it is too late for an answer: then the connection is cut, so that the client sees a broken
// answer and not a short one.
func (x *exchange) caught(r *http.Request, caught any) (cut bool) {
	if err, ok := caught.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		event.Add(r.Context(), "aborted", true)
		return true
	}
	event.Add(r.Context(), "panic", fmt.Sprint(caught))
	event.Add(r.Context(), "stack", string(debug.Stack()))
	cut = x.status != 0
	if !cut {
		x.place.refuse(x, r, oauth.AsError(errPanic))
	}
	x.status = http.StatusInternalServerError
	return cut
}

var errPanic = errors.New("panic")

func (x *exchange) log(r *http.Request, took time.Duration, added []slog.Attr) {
	level := levelOf(x.status, added)
	// The deadline must not keep the event from being written.
	ctx := context.WithoutCancel(r.Context())
	if !x.place.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 6+len(added))
	attrs = append(attrs,
		slog.String("method", method(r.Method)),
		slog.String("route", x.place.pattern),
		slog.Int("status", x.status),
		slog.Duration("took", took),
		slog.String("request_id", x.event.ID),
		slog.String("ip", x.event.IP),
	)
	x.place.Log.LogAttrs(ctx, level, "request", append(attrs, added...)...)
}

func levelOf(status int, added []slog.Attr) slog.Level {
	switch {
	case status == http.StatusServiceUnavailable:
		return slog.LevelWarn
	case status >= 500:
		return slog.LevelError
	}
	for i := range added {
		if added[i].Key == "alarm" {
			return slog.LevelWarn
		}
	}
	return slog.LevelInfo
}

// method keeps words a stranger made up out of the log.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
