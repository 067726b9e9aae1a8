package oauthhttp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// answer is what came over the wire.
type answer struct {
	*http.Response
	body string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%d, not a JSON object: %q", a.StatusCode, a.body)
	}
	return m
}

// failed tells whether the answer is the OAuth error with the status.
func (a answer) failed(t *testing.T, status int, code string) bool {
	t.Helper()
	return a.StatusCode == status && a.json(t)["error"] == code
}

func get(t *testing.T, url string, headers ...string) answer {
	t.Helper()
	return request(t, "GET", url, "", headers...)
}

// post sends a form; its values come in pairs, so that a name may be repeated.
func post(t *testing.T, target string, pairs []string, headers ...string) answer {
	t.Helper()
	var body strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		body.WriteString("&" + url.QueryEscape(pairs[i]) + "=" + url.QueryEscape(pairs[i+1]))
	}
	return request(t, "POST", target, strings.TrimPrefix(body.String(), "&"),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func request(t *testing.T, method, target, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(b)}
}
