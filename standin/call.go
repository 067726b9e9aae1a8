package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Call sends a request to an app server with the default access token (C24 to C26) and returns its answer, whatever
// its status. A body other than nil is sent as JSON. Reading is retried while there is no answer; writing is not.
// Errors: those of Refresh.
func (p *Phone) Call(ctx context.Context, method, url string, body any) (*Answer, error) {
	return p.CallResource(ctx, "", method, url, body)
}

// CallResource is Call with an access token for one resource of the session (C25).
func (p *Phone) CallResource(ctx context.Context, resource, method, url string, body any) (*Answer, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("stand-in phone: %w", err)
		}
	}
	m := message{
		act: Calling, method: method, url: url, contentType: "application/json",
		body: func() ([]byte, string) { return payload, "" },
	}
	badProofs, badTokens := 0, 0
	for {
		t, err := p.AccessToken(ctx, resource)
		if err != nil {
			return nil, err
		}
		m.accessToken, m.tokenType = t.AccessToken, t.TokenType
		a, err := p.send(ctx, m)
		switch {
		case err != nil:
			return nil, err
		case a.Status != http.StatusUnauthorized:
			return a, nil
		case a.Error == codeInvalidDPoPProof && badProofs == 0: // C26: something on the way repeated the request
			badProofs++
		case a.Error == codeInvalidToken && badTokens == 0: // C26: refresh once
			badTokens++
			p.forget(resource, t.AccessToken)
		default:
			return a, nil // C26: no answer of an app server signs anybody out
		}
	}
}

func (p *Phone) send(ctx context.Context, m message) (*Answer, error) {
	by, ctx, done, err := p.running(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if m.method != http.MethodGet {
		return p.attempt(ctx, by, m)
	}
	a, _, err := p.settle(ctx, by, m, p.config.Patience)
	return a, err
}

func (p *Phone) forget(resource, accessToken string) {
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	if process != nil {
		process.forgetAccessToken(resource, accessToken)
	}
}
