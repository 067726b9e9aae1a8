package main

import (
	"errors"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// api passes a request on to the API with the person's access token.
func (b *BFF) api(w http.ResponseWriter, r *http.Request) {
	s := b.sessions.find(b.cookie(r, sessionCookie), b.now())
	if s == nil {
		refuse(w, http.StatusUnauthorized, "signed_out", "Send the browser to /bff/login.")
		return
	}
	token, err := b.access(r.Context(), s)
	switch {
	case errors.Is(err, errOver):
		refuse(w, http.StatusUnauthorized, "signed_out", "Send the browser to /bff/login.")
		return
	case err != nil:
		log.Printf("refresh: %v", err)
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "temporarily_unavailable", "Try again; the person is still signed in.")
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	b.proxy.ServeHTTP(w, r)
}

// forward is what the API sees: its own path, the token, and nothing of the browser's session here.
func forward(r *httputil.ProxyRequest, api *url.URL) {
	r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, "/api"), ""
	r.SetURL(api)
	r.Out.Header.Del("Cookie")
	r.Out.Header.Del("X-BFF")
}

// cleaned keeps the API from setting cookies for this origin, or from letting others read its answers.
func cleaned(r *http.Response) error {
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
		r.Header.Del(name)
	}
	r.Header.Set("Cache-Control", "no-store")
	return nil
}
