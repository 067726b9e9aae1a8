package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/countersign/countersign/standin"
)

// step is one thing the story shows and what it proves.
type step struct {
	title  string
	play   func(context.Context, *stage) error
	proves string
}

var story = []step{
	{"A phone signs in with Google", signIn,
		"The provider's id_token became one account, one session and tokens of our own. The provider is not asked again."},
	{"The app server checks the access token by itself", callAppServer,
		"Signature, issuer, audience, scope and DPoP key were checked with the published keys; no call to Countersign."},
	{"The phone refreshes", refresh,
		"Every refresh rotates the token; the session stays one row."},
	{"The answer to a refresh is lost, the phone tries again", loseResponse,
		"The retry returned the very token the lost answer carried. Nobody is signed out by a bad network."},
	{"Ten refreshes with one token at the same time", tenAtOnce,
		"All ten were answered with one and the same successor."},
	{"Apple is linked while signed in, then a second phone signs in with Apple", linkApple,
		"Two providers, one account: the second phone got the same subject."},
	{"The devices are listed, and one is signed out from the other", endSession,
		"Introspection, refresh and the account API see it at once."},
	{"The server is killed (SIGKILL) in the middle of a refresh and started again", killServer,
		"The phone stayed signed in, the ended session stayed ended, and app servers never noticed."},
	{"A thief replays an old token of a phone without a key", bearerThief,
		"Two parties used one session: it was found out, and both are out."},
	{"A thief has the current token of the phone with a key", boundThief,
		"Without the key the token is worth nothing, and the phone noticed nothing."},
}

// errHold makes the errors of checks.
func errHold(format string, args ...any) error { return fmt.Errorf(format, args...) }

func signIn(ctx context.Context, s *stage) error {
	t, err := s.pixel.SignIn(ctx, s.google.Prompt(standin.GoogleAndroid("web.example", "android.example", s.person)))
	if err != nil {
		return err
	}
	claims, err := standin.Claims(t.AccessToken)
	if err != nil {
		return err
	}
	s.subject, _ = claims["sub"].(string)
	bound, _ := claims["cnf"].(map[string]any)
	s.tell.note("access token   sub %v", claims["sub"])
	s.tell.note("               aud %v, scope %q, %d s", claims["aud"], t.Scope, t.ExpiresIn)
	s.tell.note("               bound to the phone's key, jkt %v", bound["jkt"])
	s.tell.note("refresh token  %s", short(t.RefreshToken))
	if t.TokenType != "DPoP" || bound["jkt"] == nil || s.subject == "" || t.RefreshToken == "" || t.IDToken == "" {
		return errHold("the answer lacks something: %q, sub %q", t.TokenType, s.subject)
	}
	return nil
}

func callAppServer(ctx context.Context, s *stage) error {
	a, err := s.pixel.Call(ctx, http.MethodGet, s.api.url+"/todos", nil)
	if err != nil {
		return err
	}
	s.tell.note("%s", bytes.TrimSpace(a.Body))
	if a.Status != http.StatusOK {
		return errHold("the app server answered %d %s", a.Status, a.Error)
	}
	a, err = s.thief.Call(ctx, http.MethodGet, s.api.url+"/todos", nil)
	if err == nil {
		return errHold("a phone that is not signed in was answered %d", a.Status)
	}
	return nil
}

func refresh(ctx context.Context, s *stage) error {
	before := s.pixel.RefreshToken()
	if _, err := s.pixel.Refresh(ctx); err != nil {
		return err
	}
	s.tell.note("%s became %s", short(before), short(s.pixel.RefreshToken()))
	if before == s.pixel.RefreshToken() {
		return errHold("the refresh token did not rotate")
	}
	return nil
}

func loseResponse(ctx context.Context, s *stage) error {
	lost := make(chan standin.Delivery, 1)
	s.network.Observe(func(d standin.Delivery) {
		if d.Fault == standin.LoseResponse {
			lost <- d
		}
	})
	defer s.network.Observe(nil)
	s.network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
	if _, err := s.pixel.Refresh(ctx); err != nil {
		return err
	}
	first, err := refreshTokenOf((<-lost).Body)
	if err != nil {
		return err
	}
	s.tell.note("the lost answer carried  %s", short(first))
	s.tell.note("the retry brought        %s", short(s.pixel.RefreshToken()))
	if first != s.pixel.RefreshToken() {
		return errHold("the retry brought another token")
	}
	return nil
}

func tenAtOnce(ctx context.Context, s *stage) error {
	const n = 10
	var (
		wg      sync.WaitGroup
		token   = s.pixel.RefreshToken()
		answers [n]*standin.Answer
		errs    [n]error
	)
	for i := range n {
		wg.Go(func() { answers[i], errs[i] = s.pixel.Present(ctx, token) })
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	successors := map[string]int{}
	for _, a := range answers {
		if a.Tokens == nil {
			return errHold("one was answered %d %s", a.Status, a.Error)
		}
		successors[a.Tokens.RefreshToken]++
	}
	for successor, times := range successors {
		s.tell.note("%s, %d times", short(successor), times)
	}
	if len(successors) != 1 {
		return errHold("there were %d successors", len(successors))
	}
	_, err := s.pixel.Refresh(ctx)
	return err
}

func linkApple(ctx context.Context, s *stage) error {
	apple := s.apple.Prompt(standin.AppleNative(clientID, s.person))
	google := s.google.Prompt(standin.GoogleAndroid("web.example", "android.example", s.person))
	identity, err := s.pixel.Link(ctx, apple, google)
	if err != nil {
		return err
	}
	s.tell.note("linked %s, after a fresh sign-in with Google proved who is there", identity.Provider)
	t, err := s.iphone.SignIn(ctx, apple)
	if err != nil {
		return err
	}
	claims, err := standin.Claims(t.AccessToken)
	if err != nil {
		return err
	}
	s.tell.note("the second phone is sub %v", claims["sub"])
	if claims["sub"] != s.subject {
		return errHold("the second phone became another account")
	}
	return nil
}

func endSession(ctx context.Context, s *stage) error {
	t, err := s.iphone.AccessToken(ctx, "")
	if err != nil {
		return err
	}
	if active, err := s.introspect(ctx, t.AccessToken); err != nil || !active {
		return errHold("the token of a live session is inactive: %v", err)
	}
	sessions, err := s.pixel.Sessions(ctx)
	if err != nil {
		return err
	}
	var other string
	for _, x := range sessions {
		s.tell.note("%s  %-14s %s, %s", x.ID, x.DeviceName, x.Provider, x.Tier)
		if !x.Current {
			other = x.ID
		}
	}
	if len(sessions) != 2 || other == "" {
		return errHold("there are %d sessions, not 2", len(sessions))
	}
	if err := s.pixel.EndSession(ctx, other, s.google.Prompt(standin.GoogleAndroid("web.example", "android.example", s.person))); err != nil {
		return err
	}
	if active, err := s.introspect(ctx, t.AccessToken); err != nil || active {
		return errHold("introspection still says active: %v", err)
	}
	s.ended = t.AccessToken
	if _, err := s.iphone.Refresh(ctx); !errors.Is(err, standin.ErrSignedOut) {
		return errHold("the ended session could refresh: %v", err)
	}
	return nil
}

func killServer(ctx context.Context, s *stage) error {
	before := s.pixel.RefreshToken()
	refreshed, err := s.refreshAndKill(ctx)
	if err != nil {
		return err
	}
	s.tell.note("killed after it had rotated the token and before the phone heard of it")
	if a, err := s.pixel.Call(ctx, http.MethodGet, s.api.url+"/todos", nil); err != nil || a.Status != http.StatusOK {
		return errHold("the app server refused a good token while the server was down: %v", err)
	}
	if err := s.server.start(ctx); err != nil {
		return err
	}
	s.tell.note("started again")
	if err := <-refreshed; err != nil {
		return err
	}
	s.tell.note("%s became %s", short(before), short(s.pixel.RefreshToken()))
	if active, err := s.introspect(ctx, s.ended); err != nil || active {
		return errHold("the ended session came back: %v", err)
	}
	account, err := s.pixel.Account(ctx)
	if err != nil {
		return err
	}
	if account.ID != s.subject {
		return errHold("the account changed from %s to %s", s.subject, account.ID)
	}
	return nil
}

// refreshAndKill begins a refresh, loses its answer and kills the server at that very moment.
func (s *stage) refreshAndKill(ctx context.Context) (refreshed chan error, err error) {
	killed := make(chan error, 1)
	s.network.Observe(func(d standin.Delivery) {
		if d.Fault == standin.LoseResponse {
			killed <- s.server.kill()
		}
	})
	defer s.network.Observe(nil)
	s.network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
	refreshed = make(chan error, 1)
	go func() {
		_, err := s.pixel.Refresh(ctx)
		refreshed <- err
	}()
	select {
	case err = <-killed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return refreshed, err
}

func bearerThief(ctx context.Context, s *stage) error {
	if _, err := s.old.SignIn(ctx, s.google.Prompt(standin.GoogleAndroid("web.example", "android.example", s.neighbour))); err != nil {
		return err
	}
	stolen := s.old.RefreshToken()
	s.tell.note("the thief copies %s; the owner goes on refreshing", short(stolen))
	for range 3 {
		if _, err := s.old.Refresh(ctx); err != nil {
			return err
		}
	}
	a, err := s.thief.Present(ctx, stolen)
	if err != nil {
		return err
	}
	if a.Error != "invalid_grant" {
		return errHold("the thief was answered %d %s", a.Status, a.Error)
	}
	if _, err := s.old.Refresh(ctx); !errors.Is(err, standin.ErrSignedOut) {
		return errHold("the session went on: %v", err)
	}
	return nil
}

func boundThief(ctx context.Context, s *stage) error {
	stolen := s.pixel.RefreshToken()
	a, err := s.thief.Present(ctx, stolen) // no proof
	if err != nil {
		return err
	}
	if a.Error != "invalid_dpop_proof" {
		return errHold("without a proof the thief was answered %d %s", a.Status, a.Error)
	}
	a, err = s.armed.Present(ctx, stolen) // a proof by a key of his own
	if err != nil {
		return err
	}
	if a.Error != "invalid_grant" {
		return errHold("with a key of his own the thief was answered %d %s", a.Status, a.Error)
	}
	_, err = s.pixel.Refresh(ctx)
	return err
}
