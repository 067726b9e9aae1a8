package flow

import (
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/oauth"
)

// respond answers the client. Every answer names us, so that nobody else's is taken for ours (RFC 9207 §2): the door adds
// iss, and a signed one has it inside (RFC 9207 §2.4).
func (s *Service) respond(t *trip, params ...Param) (*Outcome, error) {
	r, out := &t.flow.Request, t.out
	if r.State != "" {
		params = append(params, Param{"state", r.State})
	}
	signed := signedMode(r.ResponseMode)
	if signed {
		answer, err := s.Tokens.MintResponse(t.now, t.client, named(params))
		if err != nil {
			return nil, err
		}
		params = []Param{{"response", answer}}
	}
	out.Response = &Response{
		Shown: t.shown(), RedirectURI: r.RedirectURI, Params: params, Signed: signed,
		FormPost: r.ResponseMode == oauth.ResponseFormPost || r.ResponseMode == oauth.ResponseFormPostJWT,
	}
	return &out, nil
}

func named(params []Param) map[string]string {
	m := make(map[string]string, len(params))
	for _, p := range params {
		m[p.Name] = p.Value
	}
	return m
}

func (s *Service) respondError(t *trip, err error) (*Outcome, error) {
	e := oauth.AsError(err)
	params := []Param{{"error", string(e.Code)}}
	if e.Description != "" {
		params = append(params, Param{"error_description", e.Description})
	}
	out, fault := s.respond(t, params...)
	if fault != nil {
		return nil, fault
	}
	out.Response.Cause = err
	return out, nil
}

// AddToQuery adds parameters to a URI without touching what it has: it was compared byte for byte, and a parser that
// wrote it anew might change it.
func AddToQuery(uri string, params ...Param) string {
	var b strings.Builder
	b.WriteString(uri)
	sep := byte('?')
	if strings.Contains(uri, "?") {
		sep = '&'
		if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
			sep = 0
		}
	}
	for _, p := range params {
		if sep != 0 {
			b.WriteByte(sep)
		}
		b.WriteString(url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
		sep = '&'
	}
	return b.String()
}
