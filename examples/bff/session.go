package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// sessionTime is how long a browser stays signed in here without signing in anew. Countersign may end it earlier.
const sessionTime = 12 * time.Hour

// early is how long before its end an access token is replaced, so that none ends on its way to the API.
const early = 30 * time.Second

// user is what the page may know.
type user struct {
	Sub   string `json:"sub"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// session is one browser that is signed in. Its tokens never leave this process but to Countersign and the API.
type session struct {
	user user
	ids  struct {
		SID string `json:"sid"`
	}
	ends time.Time

	refreshing sync.Mutex // held while the token is replaced
	token      *oauth2.Token
}

// sessions are in memory, by the hash of the cookie: who reads memory or a database has no cookie. With several processes
// they belong into a database they share, with the tokens encrypted.
type sessions struct {
	mu   sync.Mutex
	list map[[32]byte]*session
}

// add keeps a session and returns the cookie's value for it.
func (l *sessions) add(s *session, now time.Time) (cookie string) {
	cookie, s.ends = rand.Text(), now.Add(sessionTime)
	l.mu.Lock()
	defer l.mu.Unlock()
	for hash, other := range l.list {
		if now.After(other.ends) {
			delete(l.list, hash)
		}
	}
	l.list[sha256.Sum256([]byte(cookie))] = s
	return cookie
}

// find returns nil where nobody is signed in.
func (l *sessions) find(cookie string, now time.Time) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.list[sha256.Sum256([]byte(cookie))]
	if s == nil || now.After(s.ends) {
		return nil
	}
	return s
}

// drop forgets those for which over says so.
func (l *sessions) drop(over func(*session) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for hash, s := range l.list {
		if over(s) {
			delete(l.list, hash)
		}
	}
}

var errOver = errors.New("the session is over at Countersign")

// access returns an access token that is good for a while. However many requests want one at the same moment, one of them
// fetches it; whoever gives up waiting does not take the answer from the others.
func (b *BFF) access(ctx context.Context, s *session) (string, error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	if b.now().Add(early).Before(s.token.Expiry) {
		return s.token.AccessToken, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	fresh, err := b.oauth.TokenSource(oidc.ClientContext(ctx, b.config.HTTP), &oauth2.Token{RefreshToken: s.token.RefreshToken}).Token()
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode == http.StatusBadRequest && refused.ErrorCode == "invalid_grant":
		b.sessions.drop(func(other *session) bool { return other == s })
		return "", errOver
	case err != nil: // no verdict: the person stays signed in
		return "", err
	}
	fresh.Expiry = b.now().Add(time.Duration(fresh.ExpiresIn) * time.Second)
	s.token = fresh
	return fresh.AccessToken, nil
}
