package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign/standin"
)

// invite prints what a visitor can open and try while the demo goes on serving.
func (s *stage) invite(ctx context.Context) error {
	if _, err := s.old.SignIn(ctx, s.google.Prompt(standin.GoogleAndroid("web.example", "android.example", s.neighbour))); err != nil {
		return err
	}
	key, err := s.apiKey(ctx)
	if err != nil {
		return err
	}
	s.tell.printf(`
Still serving. Try:

  open  %[1]s/.well-known/openid-configuration
  open  %[1]s/jwks

  curl -s -d client_id=%[5]s %[1]s/challenge
  curl -s -d client_id=%[5]s -d grant_type=password %[1]s/token
  curl -s -H "Authorization: Bearer $(curl -s %[2]s/demo/token)" %[2]s/todos

  export COUNTERSIGN_API_KEY=%[4]s
  curl -s -H "Authorization: Bearer $COUNTERSIGN_API_KEY" %[3]s/admin/v1/accounts
  go run ./cmd/countersign account list --server %[3]s
  go run ./cmd/countersign session list %[6]s --server %[3]s

The server's log is %[7]s. Stop with Ctrl-C.`,
		s.issuer, s.api.url, s.admin, key, clientID, s.subject, s.server.logFile())
	return nil
}

// apiKey makes an admin API key with the command an operator uses.
func (s *stage) apiKey(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, s.server.binary, "api-key", "new", "--name", "demo", //nolint:gosec // our own binary
		"--config", filepath.Join(s.dir, configFile), "--scope", "accounts.read", "--scope", "sessions.read", "--scope", "sessions.write")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("make an API key: %w", err)
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "cs_sk_") {
			return word, nil
		}
	}
	return "", fmt.Errorf("no API key in %q", out)
}

// freshToken hands a visitor an access token of the phone without a key: a bearer token, good for five minutes.
func (s *stage) freshToken(w http.ResponseWriter, r *http.Request) {
	t, err := s.old.AccessToken(r.Context(), "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, t.AccessToken)
}
