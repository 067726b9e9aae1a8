// Package story_test plays the story that Countersign is for, from the first sign-in to the thief: step by step through
// a server in this process, and as the demo that a visitor runs.
package story_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/countersign/countersign/resource"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// cast is everybody in the story, and what later steps remember of earlier ones.
type cast struct {
	*harness.World
	app *httptest.Server // of the team that runs the app

	pixel, iphone, old *standin.Phone // two phones of one person; one of another, without a key
	thief, armed       *standin.Phone // without and with a key of his own

	subject string // of the person
	ended   string // an access token of the session that was ended
}

func TestTheStory(t *testing.T) {
	t.Parallel()
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		t.Parallel()
		c := gather(t, e)
		for _, step := range []struct {
			name string
			play func(*testing.T, *cast)
		}{
			{"a phone signs in with Google", signIn},
			{"the app server checks the access token by itself", callTheApp},
			{"the phone refreshes", refresh},
			{"the answer is lost and the retry brings the same successor", loseTheAnswer},
			{"ten refreshes at once have one successor", tenAtOnce},
			{"Apple is linked and the second phone is the same account", linkApple},
			{"the sessions are listed and one is ended", endOne},
			{"the server stops in the middle and everything still holds", restart},
			{"a thief replays an old token of a phone without a key", bearerThief},
			{"a thief has the token of a phone with a key", boundThief},
		} {
			if !t.Run(step.name, func(t *testing.T) { step.play(t, c) }) {
				t.FailNow()
			}
		}
	})
}

func gather(t *testing.T, e harness.Engine) *cast {
	t.Helper()
	w := harness.New(t, e)
	c := &cast{
		World: w, app: appServer(t, w),
		pixel: w.Phone("pixel", w.Through), iphone: w.Phone("iphone", w.Through), old: w.Phone("old phone", harness.Bearer),
		thief: w.Phone("thief", harness.Bearer), armed: w.Phone("thief with a key"),
	}
	return c
}

// appServer is a team's own server with package resource in front.
func appServer(t *testing.T, w *harness.World) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	v, err := resource.New(resource.Config{Issuer: w.Issuer, Audience: harness.Audience, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("GET /todos", v.Middleware("todos.read")(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, _ := resource.FromContext(r.Context())
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(map[string]string{"for": token.Subject})
	})))
	return server
}

// todos calls the app server and returns for whom it answered.
func (c *cast) todos(t *testing.T, p *standin.Phone) string {
	t.Helper()
	a, err := p.Call(t.Context(), http.MethodGet, c.app.URL+"/todos", nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("the app server answered %+v, %v", a, err)
	}
	var body struct{ For string }
	if err := a.Decode(&body); err != nil {
		t.Fatal(err)
	}
	return body.For
}

func signIn(t *testing.T, c *cast) {
	tokens, err := c.pixel.SignIn(t.Context(), c.GooglePrompt("sam"))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := standin.Claims(tokens.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	c.subject, _ = claims["sub"].(string)
	if c.subject == "" || tokens.TokenType != "DPoP" || tokens.RefreshToken == "" || tokens.IDToken == "" || claims["aud"] != harness.Audience {
		t.Fatalf("%+v %v", tokens, claims)
	}
}

func callTheApp(t *testing.T, c *cast) {
	before := c.Google.Requests("/jwks")
	if got := c.todos(t, c.pixel); got != c.subject {
		t.Errorf("the app server took the phone for %q", got)
	}
	if c.Google.Requests("/jwks") != before {
		t.Error("the provider was asked again")
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.app.URL+"/todos", nil)
	if err != nil {
		t.Fatal(err)
	}
	access, err := c.pixel.AccessToken(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+access.AccessToken)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a copied access token without its key was answered %d", answer.StatusCode)
	}
}

func refresh(t *testing.T, c *cast) {
	before := c.pixel.RefreshToken()
	if _, err := c.pixel.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.pixel.RefreshToken() == before {
		t.Error("the refresh token did not rotate")
	}
	c.todos(t, c.pixel)
}

func loseTheAnswer(t *testing.T, c *cast) {
	lost := make(chan standin.Delivery, 1)
	c.Network.Observe(func(d standin.Delivery) {
		if d.Fault == standin.LoseResponse {
			lost <- d
		}
	})
	defer c.Network.Observe(nil)
	c.Network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
	if _, err := c.pixel.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var first standin.Tokens
	if err := json.Unmarshal((<-lost).Body, &first); err != nil || first.RefreshToken == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	if got := c.pixel.RefreshToken(); got != first.RefreshToken {
		t.Error("the retry brought another token than the lost answer carried")
	}
}

func tenAtOnce(t *testing.T, c *cast) {
	var (
		all        sync.WaitGroup
		mu         sync.Mutex
		token      = c.pixel.RefreshToken()
		successors = map[string]int{}
	)
	for range 10 {
		all.Go(func() {
			a, err := c.pixel.Present(t.Context(), token)
			if err != nil || a.Tokens == nil {
				t.Errorf("%+v, %v", a, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			successors[a.Tokens.RefreshToken]++
		})
	}
	all.Wait()
	if len(successors) != 1 {
		t.Errorf("%d successors", len(successors))
	}
	if _, err := c.pixel.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

func linkApple(t *testing.T, c *cast) {
	identity, err := c.pixel.Link(t.Context(), c.ApplePrompt("sam at apple"), c.GooglePrompt("sam"))
	if err != nil || identity.Provider != "apple" {
		t.Fatalf("%+v, %v", identity, err)
	}
	tokens, err := c.iphone.SignIn(t.Context(), c.ApplePrompt("sam at apple"))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := standin.Claims(tokens.AccessToken)
	if err != nil || claims["sub"] != c.subject {
		t.Errorf("the second phone became %v, %v", claims["sub"], err)
	}
}

func endOne(t *testing.T, c *cast) {
	access, err := c.iphone.AccessToken(t.Context(), "")
	if err != nil || !c.Active(access.AccessToken) {
		t.Fatalf("the token of a live session is inactive: %v", err)
	}
	sessions, err := c.pixel.Sessions(t.Context())
	if err != nil || len(sessions) != 2 {
		t.Fatalf("%+v, %v", sessions, err)
	}
	for _, s := range sessions {
		if s.Current {
			continue
		}
		if s.DeviceName != "iphone" || s.Provider != "apple" || s.Tier != "bound" {
			t.Errorf("%+v", s)
		}
		if err := c.pixel.EndSession(t.Context(), s.ID, c.GooglePrompt("sam")); err != nil {
			t.Fatal(err)
		}
	}
	c.ended = access.AccessToken
	if c.Active(c.ended) {
		t.Error("introspection says active after the end")
	}
	if _, err := c.iphone.Refresh(t.Context()); !errors.Is(err, standin.ErrSignedOut) {
		t.Errorf("the ended session could refresh: %v", err)
	}
}

// The server rotates, the answer is lost, and the server is gone before the phone can ask again. (That a killed process
// loses nothing either is shown by the demo, and at length by the fault runs.)
func restart(t *testing.T, c *cast) {
	c.todos(t, c.pixel)
	before := c.pixel.RefreshToken()
	rotated, back := make(chan struct{}), make(chan struct{})
	c.Network.Observe(func(d standin.Delivery) {
		if d.Fault == standin.LoseResponse {
			close(rotated)
		}
	})
	c.Network.Next("/token", standin.Fault{Kind: standin.LoseResponse}, standin.Fault{Kind: standin.Deliver, Until: back})
	refreshed := make(chan error, 1)
	go func() {
		_, err := c.pixel.Refresh(context.WithoutCancel(t.Context()))
		refreshed <- err
	}()
	<-rotated
	c.Network.Observe(nil)
	c.Restart(func() {
		if got := c.todos(t, c.pixel); got != c.subject {
			t.Errorf("while the issuer was down the app server took the phone for %q", got)
		}
	})
	close(back)
	if err := <-refreshed; err != nil {
		t.Fatal(err)
	}
	if c.pixel.RefreshToken() == before || c.Active(c.ended) {
		t.Error("the rotation was lost, or the ended session came back")
	}
	account, err := c.pixel.Account(t.Context())
	if err != nil || account.ID != c.subject {
		t.Errorf("%+v, %v", account, err)
	}
}

func bearerThief(t *testing.T, c *cast) {
	if _, err := c.old.SignIn(t.Context(), c.GooglePrompt("kim")); err != nil {
		t.Fatal(err)
	}
	stolen := c.old.RefreshToken()
	for range 3 {
		if _, err := c.old.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := c.thief.Present(t.Context(), stolen); err != nil || a.Error != "invalid_grant" {
		t.Errorf("the thief was answered %+v, %v", a, err)
	}
	if _, err := c.old.Refresh(t.Context()); !errors.Is(err, standin.ErrSignedOut) {
		t.Errorf("the session of two parties went on: %v", err)
	}
}

func boundThief(t *testing.T, c *cast) {
	stolen := c.pixel.RefreshToken()
	if a, err := c.thief.Present(t.Context(), stolen); err != nil || a.Error != "invalid_dpop_proof" {
		t.Errorf("without a proof he was answered %+v, %v", a, err)
	}
	if a, err := c.armed.Present(t.Context(), stolen); err != nil || a.Error != "invalid_grant" {
		t.Errorf("with a key of his own he was answered %+v, %v", a, err)
	}
	if _, err := c.pixel.Refresh(t.Context()); err != nil {
		t.Errorf("the phone noticed: %v", err)
	}
	c.todos(t, c.pixel)
}
