package limits_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// KL05 TK14: while the database fails every answer is 503 in our own words. The cause is in the log, under the request
// id the answer carries, and nowhere else.
func TestKL05NoAnswerTellsOfTheInside(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		requests := w.everything(t)
		key := w.APIKey()
		mend := w.Break()
		defer mend()
		ids := map[string]bool{}
		for name, request := range requests {
			a := request()
			if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %d %v %s", name, a.Status, a.Header, a.Body)
			}
			w.wantGeneric(t, name, a)
			id := a.Header.Get("X-Request-Id")
			if id == "" || ids[id] {
				t.Errorf("%s: request id %q", name, id)
			}
			ids[id] = true
			if !w.logTellsCause(t, id) {
				t.Errorf("%s: the log does not tell the cause of %s", name, id)
			}
		}
		admin := w.Do(w.admin(t, "/admin/v1/accounts", key))
		if admin.Status != http.StatusServiceUnavailable {
			t.Errorf("the admin API: %d %s", admin.Status, admin.Body)
		}
		w.wantGeneric(t, "the admin API", admin)
	})
}

// everything is a request of each kind that asks the database, with credentials that were good before.
func (w *world) everything(t *testing.T) map[string]func() harness.Answer {
	t.Helper()
	const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	phone := w.bearer(t, harness.ClientID)
	manager := w.Phone("manager", harness.As(harness.ClientID, "openid offline_access account.read account.manage", w.Issuer), harness.Bearer)
	managing, err := manager.SignIn(t.Context(), w.GooglePrompt("bob"))
	if err != nil {
		t.Fatal(err)
	}
	asked := standin.GoogleAndroid(harness.GoogleWeb, harness.GoogleAndroid, harness.Person("ada"))
	asked.Nonce = w.Post("/challenge", url.Values{"client_id": {harness.ClientID}}).String("nonce")
	credential, err := w.Google.Issue(asked)
	if err != nil {
		t.Fatal(err)
	}
	account := func(method, path string) func() harness.Answer {
		return func() harness.Answer {
			return w.Do(w.Request(method, path, "", harness.Set("Authorization", "Bearer "+managing.AccessToken)))
		}
	}
	return map[string]func() harness.Answer{
		"sign-in": func() harness.Answer {
			return w.Post("/token", url.Values{
				"grant_type": {exchange}, "client_id": {harness.ClientID}, "nonce": {asked.Nonce}, "scope": {todos},
				"subject_token": {credential.IDToken}, "subject_token_type": {"urn:ietf:params:oauth:token-type:id_token"},
			})
		},
		"refresh":            func() harness.Answer { return w.Refresh(harness.ClientID, phone.RefreshToken) },
		"client credentials": func() harness.Answer { return w.service(harness.ServiceSecret) },
		"introspection": func() harness.Answer {
			return w.Introspect(phone.AccessToken, harness.ResourceID, harness.ResourceSecret)
		},
		"revocation": func() harness.Answer { // IR05
			return w.Post("/revoke", url.Values{"client_id": {harness.ClientID}, "token": {phone.RefreshToken}})
		},
		"userinfo":         account(http.MethodGet, "/userinfo"),
		"the account":      account(http.MethodGet, "/account/v1"),
		"its sessions":     account(http.MethodGet, "/account/v1/sessions"),
		"its identities":   account(http.MethodGet, "/account/v1/identities"),
		"ending a session": account(http.MethodDelete, "/account/v1/sessions"),
	}
}

func (w *world) admin(t *testing.T, path, key string) *http.Request {
	t.Helper()
	r := w.Request(http.MethodGet, "/", "", harness.Set("Authorization", "Bearer "+key))
	u, err := url.Parse(w.Nodes[0].Admin + path)
	if err != nil {
		t.Fatal(err)
	}
	r.URL, r.Host = u, u.Host
	return r
}

// inside is what only we should ever read: SQL and its errors, code, files, hosts.
var inside = regexp.MustCompile(`(?i)select|insert|update |delete from|relation|no such table|column|constraint|SQLSTATE|42P01|sqlite|postgres|pgx|` +
	`database|goroutine|panic|\.go\b|/tmp|/root|/home|localhost|127\.0\.0\.1|accounts|sessions|nonces|context|deadline`)

func (w *world) wantGeneric(t *testing.T, name string, a harness.Answer) {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		t.Errorf("%s: no JSON: %s", name, a.Body)
	}
	text := strings.ReplaceAll(string(a.Body), w.Issuer, "")
	if found := inside.FindString(text); found != "" {
		t.Errorf("%s: the body holds %q: %s", name, found, a.Body)
	}
	host, err := os.Hostname()
	if err == nil && host != "" && strings.Contains(text, host) {
		t.Errorf("%s: the body names the host: %s", name, a.Body)
	}
	for header, values := range a.Header {
		if header == "Content-Security-Policy" || header == "X-Request-Id" || header == "Dpop-Nonce" {
			continue // our own words, and letters drawn at random, which spell anything one day
		}
		if found := inside.FindString(strings.Join(values, " ")); found != "" {
			t.Errorf("%s: %s holds %q", name, header, found)
		}
	}
}

// logTellsCause tells whether the event of the request says what the database said. It is written after the answer, so
// it may take a moment.
func (w *world) logTellsCause(t *testing.T, id string) bool {
	t.Helper()
	var event string
	eventually(t, "the event of "+id+" is written", func() bool {
		for line := range strings.Lines(w.Log.String()) {
			if strings.Contains(line, id) {
				event = line
			}
		}
		return event != ""
	})
	return strings.Contains(event, `"cause":`) && (strings.Contains(event, "no such table") || strings.Contains(event, "does not exist"))
}

// KL05: errors are not shared between requests; the race detector watches, and each answer has an id of its own.
func TestKL05ErrorsOfManyRequestsAtOnceAreTheirOwn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		phone := w.bearer(t, harness.ClientID)
		mend := w.Break()
		defer mend()
		const crowd = 50
		ids := make([]string, crowd)
		var all sync.WaitGroup
		for i := range crowd {
			all.Go(func() {
				a := w.Refresh(harness.ClientID, phone.RefreshToken)
				if i%2 == 0 {
					a = w.service("guess " + phone.RefreshToken[:8])
				}
				w.wantGeneric(t, "one of many", a)
				ids[i] = a.Header.Get("X-Request-Id")
			})
		}
		all.Wait()
		seen := map[string]bool{}
		for _, id := range ids {
			if id == "" || seen[id] {
				t.Errorf("request id %q came twice", id)
			}
			seen[id] = true
		}
	})
}
