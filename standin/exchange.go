package standin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// message is a request the phone may have to send several times.
type message struct {
	act         Act
	method, url string
	body        func() (body []byte, presented string) // asked anew for every attempt
	contentType string
	accessToken string // "" at the issuer's own endpoints
	tokenType   string // how accessToken is presented (C24)
	noProof     bool
}

// form is a message to an endpoint of the issuer (C1).
func (p *Phone) form(act Act, path string, f url.Values) message {
	return message{
		act: act, method: http.MethodPost, url: p.config.Issuer + path, contentType: formType,
		body: func() ([]byte, string) { return []byte(f.Encode()), f.Get("refresh_token") },
	}
}

const formType = "application/x-www-form-urlencoded"

// maxAnswer bounds what a phone reads.
const maxAnswer = 1 << 20

// once sends a message once, with a proof of its own (C3, C5), and keeps the nonce of whatever comes back (C6). The
// error is ErrUnreachable with its cause, or ErrKilled.
func (p *Phone) once(ctx context.Context, by *process, m message) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	body, presented := m.body()
	r, err := p.request(ctx, by, m, body)
	if err != nil {
		return nil, err
	}
	e := Event{Act: m.act, What: Sent, Request: p.nextRequest(), Method: m.method, URL: m.url, Presented: presented}
	p.tell(e)
	answer, err := p.roundTrip(r)
	if err == nil && !answer.counts() {
		err = fmt.Errorf("%d with a body that is not JSON", answer.Status)
	}
	if err != nil {
		err = by.orKilled(fmt.Errorf("%w: %w", ErrUnreachable, err))
		e.What, e.Cause = Unheard, err
		p.tell(e)
		return nil, err
	}
	by.keepNonce(origin(m.url), answer.Header.Get("DPoP-Nonce"))
	e.What, e.Status, e.Error = Answered, answer.Status, answer.Error
	if answer.Tokens != nil {
		e.Received = answer.Tokens.RefreshToken
	}
	p.tell(e)
	if by.dead() {
		return nil, ErrKilled // killed by whoever was told
	}
	return answer, nil
}

func (p *Phone) request(ctx context.Context, by *process, m message, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, m.method, m.url, strings.NewReader(string(body)))
	if err != nil {
		return nil, fmt.Errorf("stand-in phone: %w", err)
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", m.contentType)
	}
	r.Header.Set("Accept", "application/json")
	if m.accessToken != "" {
		r.Header.Set("Authorization", m.tokenType+" "+m.accessToken) // C24
	}
	if p.device.key == nil || m.noProof || (m.accessToken != "" && m.tokenType != "DPoP") {
		return r, nil
	}
	proof, err := p.Proof(m.method, htu(m.url), by.nonce(origin(m.url)), m.accessToken)
	if err != nil {
		return nil, fmt.Errorf("stand-in phone: %w", err)
	}
	r.Header.Set("DPoP", proof)
	return r, nil
}

func (p *Phone) roundTrip(r *http.Request) (*Answer, error) {
	resp, err := p.config.HTTPClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err // half an answer is none (C2)
	}
	return readAnswer(resp.StatusCode, resp.Header, body), nil
}

// maxNonceRequests is how often in a row a server may ask for its nonce (C6).
const maxNonceRequests = 3

// attempt is once, repeated at once where the server asks for its nonce (C6).
func (p *Phone) attempt(ctx context.Context, by *process, m message) (*Answer, error) {
	for range maxNonceRequests {
		a, err := p.once(ctx, by, m)
		if err != nil || a.Error != codeUseDPoPNonce {
			return a, err
		}
	}
	return nil, fmt.Errorf("%w: the server asked for its nonce %d times in a row", ErrUnreachable, maxNonceRequests)
}

// settle sends a message until there is an answer that decides something (C21), as long as limit allows. doubt tells
// that an earlier attempt may have been acted upon. The error is ErrUnreachable or ErrKilled.
func (p *Phone) settle(ctx context.Context, by *process, m message, limit time.Duration) (a *Answer, doubt bool, err error) {
	pauses := backoff{start: p.config.Now()}
	for {
		a, err = p.attempt(ctx, by, m)
		switch {
		case err == nil && a.decides():
			return a, doubt, nil
		case err == nil:
			err = fmt.Errorf("%w: %d %s", ErrUnreachable, a.Status, a.Error)
		case !errors.Is(err, ErrUnreachable):
			return nil, doubt, err
		}
		doubt = true
		wait := pauses.next(a)
		if pauses.spent(p.config.Now()) >= limit {
			return nil, doubt, err
		}
		p.tell(Event{Act: m.act, What: Waiting, Wait: wait, Cause: err})
		if p.config.Pause(ctx, wait) != nil {
			return nil, doubt, by.orKilled(err)
		}
	}
}

// backoff is how long to wait for the next attempt (C21).
type backoff struct {
	start  time.Time
	tries  int
	paused time.Duration
}

func (b *backoff) next(a *Answer) time.Duration {
	wait, asked := time.Duration(0), false
	if a != nil {
		wait, asked = a.RetryAfter()
	}
	if !asked && b.tries > 0 {
		wait = min(time.Second<<min(b.tries-1, 5), 30*time.Second)
		wait -= rand.N(wait/2 + 1)
	}
	b.tries++
	b.paused += wait
	return wait
}

// spent is the time since the first attempt, or the sum of the pauses where Pause does not really wait.
func (b *backoff) spent(now time.Time) time.Duration { return max(now.Sub(b.start), b.paused) }

// The codes that mean something to an app.
const (
	codeInvalidGrant     = "invalid_grant"
	codeInvalidRequest   = "invalid_request"
	codeInvalidToken     = "invalid_token"
	codeInvalidDPoPProof = "invalid_dpop_proof"
	codeUseDPoPNonce     = "use_dpop_nonce"
	codeInsufficientAuth = "insufficient_user_authentication"
)

// origin is whose nonces these are (C6).
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// htu is an address without query and fragment (RFC 9449 §4.2).
func htu(address string) string {
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		return address[:i]
	}
	return address
}
