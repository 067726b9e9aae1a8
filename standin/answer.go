package standin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tokens is a successful answer of /token (RFC 6749 §5.1, RFC 8693 §2.2.1).
type Tokens struct {
	AccessToken     string `json:"access_token"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	RefreshToken    string `json:"refresh_token"`
	Scope           string `json:"scope"`
	IDToken         string `json:"id_token"`
	IssuedTokenType string `json:"issued_token_type"`
}

// Answer is what came back for one request, read to its end.
type Answer struct {
	Status      int
	Header      http.Header
	Body        []byte
	Error       string // the OAuth code, from the body or from WWW-Authenticate; empty if there is none
	Description string
	MaxAge      time.Duration // of insufficient_user_authentication
	Tokens      *Tokens       // of a 200 with an access_token
}

// Decode reads the JSON body into v.
func (a *Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// RetryAfter is the time the server asked to wait; ok is false if it named none.
func (a *Answer) RetryAfter() (d time.Duration, ok bool) {
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

// readAnswer makes sense of status, headers and body.
func readAnswer(status int, header http.Header, body []byte) *Answer {
	a := &Answer{Status: status, Header: header, Body: body}
	var refusal struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Detail      string `json:"detail"` // RFC 9457
	}
	if json.Unmarshal(body, &refusal) == nil {
		a.Error, a.Description = refusal.Error, refusal.Description
		if a.Description == "" {
			a.Description = refusal.Detail
		}
	}
	for _, challenge := range header.Values("WWW-Authenticate") {
		params := challengeParams(challenge)
		if params["error"] == "" {
			continue
		}
		a.Error, a.Description = params["error"], params["error_description"]
		if seconds, err := strconv.Atoi(params["max_age"]); err == nil {
			a.MaxAge = time.Duration(seconds) * time.Second
		}
		break
	}
	var tokens Tokens
	if status == http.StatusOK && json.Unmarshal(body, &tokens) == nil && tokens.AccessToken != "" {
		a.Tokens = &tokens
	}
	return a
}

// decides tells whether this is an answer at all (C2) and one that is not to be retried (C21).
func (a *Answer) decides() bool {
	return a.counts() && a.Status < http.StatusInternalServerError && a.Status != http.StatusTooManyRequests
}

// counts is C2. An empty body is an answer where there is nothing to say: 2xx of /revoke and DELETE, and 401.
func (a *Answer) counts() bool {
	if a.Status >= 300 && a.Status < 400 {
		return false
	}
	if len(a.Body) == 0 {
		return a.Status/100 == 2 || a.Status == http.StatusUnauthorized
	}
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return (kind == "application/json" || kind == "application/problem+json") && json.Valid(a.Body)
}

// challengeParams reads the parameters of one WWW-Authenticate challenge (RFC 9110 §11.2): tokens or quoted strings.
func challengeParams(challenge string) map[string]string {
	params := map[string]string{}
	_, rest, _ := strings.Cut(strings.TrimSpace(challenge), " ")
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		var value string
		value, rest = challengeValue(after)
		params[strings.ToLower(strings.Trim(name, ", \t"))] = value
	}
	return params
}

func challengeValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

// Claims reads the payload of a JWT without checking anything: for printing and for tests. An app never needs it.
func Claims(jwt string) (map[string]any, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("not a JWT: %w", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("not a JWT: %w", err)
	}
	return claims, nil
}
