package httpd

import (
	"net/http"
	"time"
)

// Server returns an http.Server with the limits every listener has. Whoever dribbles headers or a body is cut off,
// and whoever does not read the answer is too.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // from the end of the headers: body, handler and answer
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
	}
}
