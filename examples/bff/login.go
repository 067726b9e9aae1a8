package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// trip is what the answer of Countersign must fit. It waits in a cookie of the browser that set out, so that a code that
// somebody else obtained signs nobody in here (login CSRF), and nothing is kept for those who never come back.
type trip struct{ State, Nonce, Verifier, To string }

const tripTime = 30 * time.Minute // as long as Countersign gives a person to sign in

// login sends the browser to Countersign. ?to= is where in the app it comes back to.
func (b *BFF) login(w http.ResponseWriter, r *http.Request) {
	t := trip{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: inside(r.URL.Query().Get("to"))}
	text, err := json.Marshal(t)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	// Lax: the way back is a navigation that another site began.
	b.setCookie(w, tripCookie, base64.RawURLEncoding.EncodeToString(text), http.SameSiteLaxMode, tripTime)
	http.Redirect(w, r, b.oauth.AuthCodeURL(t.State, oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)), http.StatusSeeOther)
}

// inside is a path of this app, whatever was asked for: no open redirect.
func inside(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// callback takes the code, and gives the browser a session.
func (b *BFF) callback(w http.ResponseWriter, r *http.Request) {
	t, ok := b.trip(r)
	b.setCookie(w, tripCookie, "", http.SameSiteLaxMode, 0)
	q := r.URL.Query()
	switch {
	case !ok, subtle.ConstantTimeCompare([]byte(t.State), []byte(q.Get("state"))) != 1, q.Get("iss") != b.config.Issuer: // RFC 9207
		http.Redirect(w, r, "/?problem=stale", http.StatusSeeOther)
		return
	case q.Get("error") != "": // the person turned back, or something is not as it should be
		http.Redirect(w, r, "/?problem="+url.QueryEscape(q.Get("error")), http.StatusSeeOther)
		return
	}
	s, err := b.redeem(r.Context(), q.Get("code"), t)
	if err != nil {
		log.Printf("sign-in: %v", err)
		http.Redirect(w, r, "/?problem=failed", http.StatusSeeOther)
		return
	}
	// A new value at every sign-in. Strict: no other site's link or form comes with it; the page's script does.
	b.setCookie(w, sessionCookie, b.sessions.add(s, b.now()), http.SameSiteStrictMode, sessionTime)
	http.Redirect(w, r, t.To, http.StatusSeeOther)
}

func (b *BFF) trip(r *http.Request) (t trip, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(b.cookie(r, tripCookie))
	if err != nil || json.Unmarshal(text, &t) != nil {
		return trip{}, false
	}
	return t, t.State != ""
}

// redeem makes a session of a code.
func (b *BFF) redeem(ctx context.Context, code string, t trip) (*session, error) {
	ctx = oidc.ClientContext(ctx, b.config.HTTP)
	token, err := b.oauth.Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := b.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != t.Nonce {
		return nil, errors.New("the ID token is of another sign-in")
	}
	info, err := b.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, err
	}
	s := &session{user: user{Sub: id.Subject}, token: token}
	return s, errors.Join(id.Claims(&s.ids), info.Claims(&s.user))
}

// user tells the page who is signed in.
func (b *BFF) user(w http.ResponseWriter, r *http.Request) {
	s := b.sessions.find(b.cookie(r, sessionCookie), b.now())
	if s == nil {
		refuse(w, http.StatusUnauthorized, "signed_out", "Send the browser to /bff/login.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.user)
}
