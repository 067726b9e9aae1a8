package refresh_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// RT10: the token is right, the client is not.
func TestRT10ATokenOfAnotherClientIsRefusedAndChangesNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		native, web := w.signedIn(t, bearer), w.confidential(t, harness.WebID)
		for _, tt := range []struct {
			name   string
			answer harness.Answer
			status int
			code   string
		}{
			{"another public client", w.Refresh(harness.OtherClientID, native.first), 400, "invalid_grant"},
			{"a confidential client", w.Post("/token", form("", native.first), harness.Basic(harness.WebID, harness.WebSecret)), 400, "invalid_grant"},
			{"another confidential client", w.Post("/token", form(harness.PostID, web.token, "client_secret", harness.PostSecret)), 400, "invalid_grant"},
			{"a public client", w.Refresh(harness.ClientID, web.token), 400, "invalid_grant"},
			{"the confidential client without its secret", w.Refresh(harness.WebID, web.token), 401, "invalid_client"},
			{"the confidential client with a wrong one", w.Post("/token", form("", web.token), harness.Basic(harness.WebID, "guess")), 401, "invalid_client"},
			{"nobody", w.Post("/token", form("", native.first)), 401, "invalid_client"},
			{"a service", w.Post("/token", form("", native.first), harness.Basic(harness.ServiceID, harness.ServiceSecret)), 400, "unauthorized_client"},
		} {
			if a := tt.answer; a.Status != tt.status || a.Error() != tt.code || a.Description() == "" {
				t.Errorf("%s: %d %s", tt.name, a.Status, a.Body)
			}
		}
		native.wantCounter(t, 0)
		native.next(t, native.first)
		if a := web.refresh(); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// server is a confidential client with a session of somebody's.
type server struct {
	w     *world
	id    string
	token string
}

// auth is how it says who it is.
func (c *server) auth() (inForm []string, inHeader func(*http.Request)) {
	if c.id == harness.PostID {
		return []string{"client_id", c.id, "client_secret", harness.PostSecret}, func(*http.Request) {}
	}
	return nil, harness.Basic(c.id, harness.WebSecret)
}

func (c *server) post(f url.Values, mods ...func(*http.Request)) harness.Answer {
	c.w.T.Helper()
	inForm, inHeader := c.auth()
	for i := 0; i+1 < len(inForm); i += 2 {
		f.Set(inForm[i], inForm[i+1])
	}
	path := "/token"
	if f.Get("grant_type") == "" {
		path = "/challenge"
	}
	return c.w.Post(path, f, append(mods, inHeader)...)
}

func (c *server) refresh(mods ...func(*http.Request)) harness.Answer {
	c.w.T.Helper()
	return c.post(form("", c.token), mods...)
}

// confidential signs somebody in at a confidential client.
func (w *world) confidential(t *testing.T, id string) *server {
	t.Helper()
	c := &server{w: w, id: id}
	nonce := c.post(url.Values{}).String("nonce")
	asked := standin.GoogleAndroid(harness.GoogleWeb, "", harness.Person("somebody at "+id))
	asked.Nonce = nonce
	credential, err := w.Google.Issue(asked)
	if err != nil {
		t.Fatal(err)
	}
	a := c.post(url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "nonce": {nonce}, "scope": {todos},
		"subject_token": {credential.IDToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
	})
	c.token = a.String("refresh_token")
	if a.Status != 200 || c.token == "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return c
}

// A confidential client keeps one token, bound to its own authentication, and may use a new key each time.
func TestAConfidentialClientKeepsItsToken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, id := range []string{harness.WebID, harness.PostID} {
			t.Run(id, func(t *testing.T) {
				c := w.confidential(t, id)
				var keys []string
				for range 3 {
					key, err := dpop.NewProver()
					if err != nil {
						t.Fatal(err)
					}
					proof, err := key.Proof("POST", w.Issuer+"/token", "", "", w.Clock.Now())
					if err != nil {
						t.Fatal(err)
					}
					a := c.refresh(harness.Set("DPoP", proof))
					if a.Status != 200 || a.String("refresh_token") != c.token || a.String("token_type") != "DPoP" ||
						!strings.Contains(claimsText(t, a.String("access_token")), key.JKT()) {
						t.Fatalf("%d %s", a.Status, a.Body)
					}
					keys = append(keys, key.JKT())
				}
				a := c.refresh()
				if a.Status != 200 || a.String("refresh_token") != c.token || a.String("token_type") != "Bearer" {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				for _, key := range keys {
					if strings.Contains(claimsText(t, a.String("access_token")), key) {
						t.Error("a key of an earlier request stuck")
					}
				}
				// idle 60 days, and at the latest a year after the sign-in
				for range 7 {
					w.Clock.Step(50 * day)
					if a := c.refresh(); a.Status != 200 || a.String("refresh_token") != c.token {
						t.Fatalf("%d %s", a.Status, a.Body)
					}
				}
				w.Clock.Step(20 * day)
				if a := c.refresh(); a.Status != 400 || a.Error() != "invalid_grant" {
					t.Fatalf("after a year: %d %s", a.Status, a.Body)
				}
			})
		}
	}, lastingKeys)
}

// A client that must bind its tokens gets none without a proof, and loses nothing by trying.
func TestAClientThatRequiresDPoPIsToldSo(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		prompt := w.Google.Prompt(standin.GoogleAndroid("bank.example", "", harness.Person("ada")))
		kind := func(c *standin.PhoneConfig) { harness.As(harness.BoundClientID, todos)(c) }
		careless := w.Phone("careless", kind, harness.Bearer)
		var refused *standin.Refused
		if _, err := careless.SignIn(t.Context(), prompt); !errors.As(err, &refused) || refused.Answer.Error != "invalid_dpop_proof" {
			t.Fatalf("%v", err)
		}
		p := w.Phone("phone", kind)
		tokens, err := p.SignIn(t.Context(), prompt)
		if err != nil || tokens.TokenType != "DPoP" {
			t.Fatalf("%+v, %v", tokens, err)
		}
		a := w.Refresh(harness.BoundClientID, tokens.RefreshToken)
		if a.Status != 400 || a.Error() != "invalid_dpop_proof" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if _, err := p.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// RT13: what was granted at the sign-in is the ceiling of every refresh.
func TestRT13NoRefreshGoesBeyondTheGrant(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		d := w.signedIn(t, func(c *standin.PhoneConfig) {
			harness.As(harness.ClientID, todos+" mail.read", harness.Audience, harness.OtherAudience)(c)
			harness.Bearer(c)
		})
		token, refreshed := d.first, uint32(0)
		for _, tt := range []struct {
			name  string
			more  []string
			error string // and nothing happened
			scope string
			aud   string
		}{
			{"nothing asked", nil, "", todos, harness.Audience},
			{"wider", []string{"scope", "todos.read todos.write"}, "invalid_scope", "", ""},
			{"an account scope", []string{"scope", "account.manage"}, "invalid_scope", "", ""},
			{"an unknown scope", []string{"scope", "root"}, "invalid_scope", "", ""},
			{"a resource that was not granted", []string{"resource", w.Issuer}, "invalid_target", "", ""},
			{"an unknown resource", []string{"resource", "https://evil.example"}, "invalid_target", "", ""},
			{"narrower", []string{"scope", "todos.read"}, "", "todos.read", harness.Audience},
			{"the other resource", []string{"resource", harness.OtherAudience}, "", "openid offline_access mail.read", harness.OtherAudience},
			{"and all of it again", nil, "", todos, harness.Audience},
		} {
			t.Run(tt.name, func(t *testing.T) {
				a := w.Post("/token", form(harness.ClientID, token, tt.more...))
				if tt.error != "" {
					if a.Status != 400 || a.Error() != tt.error || a.Description() == "" {
						t.Fatalf("%d %s", a.Status, a.Body)
					}
					d.wantCounter(t, refreshed)
					return
				}
				if a.Status != 200 || a.String("scope") != tt.scope || claim(t, a.String("access_token"), "aud") != tt.aud ||
					claim(t, a.String("access_token"), "scope") != tt.scope {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				token = a.String("refresh_token")
				refreshed++
				d.wantCounter(t, refreshed)
			})
		}
	})
}

// RT14: the ends of a session's life.
func TestRT14IdleAndAbsoluteEndsHold(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name  string
			kind  func(*standin.PhoneConfig)
			every time.Duration
			times int           // it is refreshed
			then  time.Duration // after which it is over
		}{
			{"a bound session is idle for 90 days", bound, 89 * day, 6, 91 * day},
			{"and has no absolute end", bound, 80 * day, 8, 91 * day},
			{"a native bearer session is idle for 60 days", bearer, 59 * day, 3, 61 * day},
			{"and ends after a year", bearer, 45 * day, 8, 6 * day},
			{"a browser session is idle for 14 days", browser, 13 * day, 1, 15 * day},
			{"and ends after 30 days, refreshed daily", browser, day, 29, 25 * time.Hour},
		} {
			t.Run(tt.name, func(t *testing.T) {
				d := w.signedIn(t, tt.kind)
				token := d.first
				for range tt.times {
					w.Clock.Step(tt.every)
					token = d.next(t, token)
				}
				w.Clock.Step(tt.then)
				d.refused(t, token, "invalid_grant")
				if s, err := w.admin.Session(t.Context(), d.sid); err == nil && s.Live {
					t.Errorf("%+v", s)
				}
			})
		}
		t.Run("a retry does not put off the idle end", func(t *testing.T) {
			d := w.signedIn(t, bound)
			current := d.next(t, d.first)
			for range 8 {
				w.Clock.Step(11 * day)
				d.again(t, d.first, current)
			}
			w.Clock.Step(3 * day)
			d.refused(t, d.first, "invalid_grant")
			d.refused(t, current, "invalid_grant")
		})
	}, lastingKeys)
}

// RT15: whatever ends the right to a session stops the very next refresh, and what is undone works again.
func TestRT15TheVeryNextRefreshIsRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range []struct {
			name      string
			end, mend func(*device) error
		}{
			{"account disabled", func(d *device) error {
				_, err := w.admin.DisableAccount(ctx, claim(t, d.access, "sub"))
				return err
			}, func(d *device) error {
				_, err := w.admin.EnableAccount(ctx, claim(t, d.access, "sub"))
				return err
			}},
			{"client disabled", func(*device) error { return w.admin.DisableClient(ctx, harness.ClientID) },
				func(*device) error { return w.admin.EnableClient(ctx, harness.ClientID) }},
			{"session ended by the operator", func(d *device) error { return w.admin.EndSession(ctx, d.sid) }, nil},
			{"all sessions of the account ended", func(d *device) error {
				_, err := w.admin.EndAccountSessions(ctx, claim(t, d.access, "sub"))
				return err
			}, nil},
			{"signed out", func(d *device) error {
				if a := w.Post("/revoke", url.Values{"client_id": {harness.ClientID}, "token": {d.first}}); a.Status != 200 {
					return fmt.Errorf("%d %s", a.Status, a.Body)
				}
				return nil
			}, nil},
		} {
			for name, kind := range map[string]func(*standin.PhoneConfig){"bound": bound, "bearer": bearer} {
				t.Run(tt.name+", "+name, func(t *testing.T) {
					d := w.signedIn(t, kind)
					current := d.next(t, d.first)
					check(tt.end(d))
					d.refused(t, current, "invalid_grant")
					d.refused(t, d.first, "invalid_grant") // nor is a retry answered
					if w.Active(d.access) {
						t.Error("introspection says active")
					}
					if tt.mend == nil {
						return
					}
					check(tt.mend(d))
					d.next(t, current)
				})
			}
		}
	})
}
