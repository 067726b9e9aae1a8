package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign/examples/logouttoken"
)

// logout ends the session here and its tokens at Countersign, and tells the page where to send the browser so that the
// person is signed out of Countersign too. An id_token_hint would spare them the question there, but it would show the
// browser a token; client_id says enough to be sent back.
func (b *BFF) logout(w http.ResponseWriter, r *http.Request) {
	s := b.sessions.find(b.cookie(r, sessionCookie), b.now())
	b.setCookie(w, sessionCookie, "", http.SameSiteStrictMode, 0)
	if s != nil {
		b.sessions.drop(func(other *session) bool { return other == s })
		if err := b.revoke(r.Context(), s); err != nil {
			log.Printf("revoke: %v", err) // nobody can use it any more from here; it ends by itself
		}
	}
	q := url.Values{"client_id": {b.config.ClientID}, "post_logout_redirect_uri": {b.config.BaseURL + "/"}}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"go": b.config.Issuer + "/logout?" + q.Encode()})
}

// revoke ends the session at Countersign by its refresh token (RFC 7009).
func (b *BFF) revoke(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s.refreshing.Lock()
	form := url.Values{"token": {s.token.RefreshToken}}
	s.refreshing.Unlock()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.revokeAt, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(b.config.ClientID), url.QueryEscape(b.config.ClientSecret)) // RFC 6749 §2.3.1
	answer, err := b.config.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	return nil
}

// backchannel is told by Countersign that a session is over: signed out elsewhere, or ended by the operator. It comes from
// Countersign itself, so it has no cookie and no X-BFF; its signature is what counts.
func (b *BFF) backchannel(w http.ResponseWriter, r *http.Request) {
	sub, sid, err := logouttoken.Read(r, b.verifier)
	if err != nil {
		log.Printf("back-channel logout: %v", err)
		refuse(w, http.StatusBadRequest, "invalid_request", "This is no logout token for this client.")
		return
	}
	b.sessions.drop(func(s *session) bool { return s.user.Sub == sub && s.ids.SID == sid })
}
