package limits_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// posts are the paths that read a body.
var posts = []string{"/token", "/challenge", "/introspect", "/revoke", "/userinfo", "/account/v1/identities"}

// endless never ends.
type endless string

func (e endless) Read(p []byte) (int, error) { return copy(p, e), nil }

// DS01: what is too large is refused before it is parsed, and before it is all there.
func TestDS01TooLargeIsRefusedUnread(t *testing.T) {
	w := onSQLite(t)
	head := func(path, more string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + formType + "\r\n" + more + "\r\n"
	}
	chunk := endless("1000\r\n" + strings.Repeat("a", 0x1000) + "\r\n")
	for _, path := range posts {
		for _, tt := range []struct {
			name   string
			text   []io.Reader
			status int
		}{
			{"a byte more than 64 KiB", []io.Reader{strings.NewReader(head(path, "Content-Length: 65537\r\n") + strings.Repeat("a", 65537))}, 413},
			{"10 GB are announced", []io.Reader{strings.NewReader(head(path, "Content-Length: 10737418240\r\n"))}, 413},
			{"chunks that never end", []io.Reader{strings.NewReader(head(path, "Transfer-Encoding: chunked\r\n")), chunk}, 413},
			{"a header of 64 KiB", []io.Reader{strings.NewReader(head(path, "X-Much: "+strings.Repeat("x", 64<<10)+"\r\n"))}, 431},
			{"100 000 cookies", []io.Reader{strings.NewReader(head(path, strings.Repeat("Cookie: a=b\r\n", 100_000)))}, 431},
			{"headers that never end", []io.Reader{strings.NewReader("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n"), endless("X-More: x\r\n")}, 431},
			{"a path that never ends", []io.Reader{strings.NewReader("POST " + path), endless("x")}, 431},
		} {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				if path == "/account/v1/identities" && strings.HasPrefix(tt.name, "chunks") {
					tt.status = http.StatusUnauthorized // nobody reads a body of somebody without a token
				}
				if a := w.send(t, tt.text...); a.Status != tt.status {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		}
	}
	w.works(t)
}

func TestDS01AFormHasAtMost64Fields(t *testing.T) {
	w := onSQLite(t)
	form := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d=&", i)
		}
		return b.String()
	}
	for _, path := range []string{"/token", "/challenge", "/introspect", "/revoke"} {
		for _, tt := range []struct{ fields, status int }{{65, 400}, {9_000, 400}, {100_000, 413}} {
			a := w.Do(w.Request(http.MethodPost, path, form(tt.fields), harness.Set("Content-Type", formType)))
			if a.Status != tt.status || a.Error() != "invalid_request" {
				t.Errorf("%s with %d fields: %d %s", path, tt.fields, a.Status, a.Body)
			}
		}
	}
	w.works(t)
}

// DS01: the private listener takes a mebibyte and no more.
func TestDS01TheAdminAPIHasItsOwnCap(t *testing.T) {
	w := onSQLite(t)
	for _, tt := range []struct{ size, status int }{{1 << 20, 400}, {1<<20 + 1, 413}} {
		r := w.Request(http.MethodPost, "/", strings.Repeat(" ", tt.size), harness.Set("Authorization", "Bearer "+w.APIKey()), harness.Set("Content-Type", "application/json"))
		u, err := url.Parse(w.Nodes[0].Admin + "/admin/v1/keys/rotate")
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.Host = u, u.Host
		if a := w.Do(r); a.Status != tt.status {
			t.Errorf("%d bytes: %d %s", tt.size, a.Status, a.Body)
		}
	}
}

// DS04: no token that is encrypted or packed is opened, so none costs more than its length.
func TestDS04EncryptedAndPackedTokensAreNeverOpened(t *testing.T) {
	w := onSQLite(t)
	bomb := strings.Repeat("A", 40_000)
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwe := func(header string) string {
		return part(header) + "." + part("key") + "." + part("iv") + "." + bomb + "." + part("tag")
	}
	for _, tt := range []struct{ name, token string }{
		{"a zip bomb", jwe(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`)},
		{"two thousand million rounds of PBES2", jwe(`{"alg":"PBES2-HS512+A256KW","enc":"A256GCM","p2s":"c2FsdA","p2c":2147483647}`)},
		{"RSA-OAEP", jwe(`{"alg":"RSA-OAEP","enc":"A256GCM","kid":"1"}`)},
		{"a signature over packed claims", part(`{"alg":"RS256","zip":"DEF","kid":"1"}`) + "." + bomb + "." + part("sig")},
		{"claims of ten thousand levels", part(`{"alg":"RS256","kid":"1"}`) + "." + part(strings.Repeat("[", 10_000)) + "." + part("sig")},
		{"a header of five thousand levels", part(strings.Repeat(`{"a":`, 5_000)) + ".e30." + part("sig")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			w.presentEverywhere(t, tt.token)
			if took := time.Since(began); took > patience {
				t.Errorf("it took %v", took)
			}
		})
	}
	w.works(t)
}

// presentEverywhere presents a token wherever one is read; everywhere it is refused as what it is not.
func (w *world) presentEverywhere(t *testing.T, token string) {
	t.Helper()
	const idToken = "urn:ietf:params:oauth:token-type:id_token"
	nonce := w.Post("/challenge", url.Values{"client_id": {harness.ClientID}}).String("nonce")
	header := token[:min(len(token), 12_000)] // a header line may be 16 KiB
	for _, tt := range []struct {
		name   string
		answer harness.Answer
		status int
		code   string
	}{
		{"as an id_token", w.Post("/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {harness.ClientID}, "nonce": {nonce},
			"subject_token": {token}, "subject_token_type": {idToken},
		}), 400, "invalid_request"},
		{"as a refresh token", w.Refresh(harness.ClientID, token), 400, "invalid_grant"},
		{"as a proof", w.Refresh(harness.ClientID, "cs_rt_x", harness.Set("DPoP", header)), 400, "invalid_dpop_proof"},
		{"as an access token", w.Do(w.Request(http.MethodGet, "/userinfo", "", harness.Set("Authorization", "Bearer "+header))), 401, "invalid_token"},
		{"for revocation", w.Post("/revoke", url.Values{"client_id": {harness.ClientID}, "token": {token}}), 200, ""},
		{"for introspection", w.Introspect(token, harness.ResourceID, harness.ResourceSecret), 200, ""},
	} {
		if tt.answer.Status != tt.status || tt.answer.Error() != tt.code {
			t.Errorf("%s: %d %s", tt.name, tt.answer.Status, tt.answer.Body)
		}
	}
	if w.Active(token) {
		t.Error("it is active")
	}
}
