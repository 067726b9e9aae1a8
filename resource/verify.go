package resource

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/accesstoken"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
)

// Middleware lets requests through that carry a valid token with all the scopes, and answers the others. Behind it
// FromContext returns the token.
func (v *Verifier) Middleware(scopes ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, err := v.Verify(r.Context(), r, scopes...)
			if err != nil {
				v.WriteError(w, err)
				return
			}
			if v.config.RequireNonce || v.handsOut && token.JKT != "" { // for the next proof (RFC 9449 §8.2)
				w.Header().Set("DPoP-Nonce", v.Nonce())
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), token)))
		})
	}
}

// Nonce returns a fresh nonce for proofs, for the DPoP-Nonce header of an answer.
func (v *Verifier) Nonce() string { return v.proofs.Nonces.Mint(v.config.Now()) }

// Verify checks the request's token, for where Middleware does not fit. Every error is an *Error; WriteError answers
// with it. A proof is used up by the call, so call it once per request. Where the request is a form, Verify looks for
// a token in the body and puts back what it read.
func (v *Verifier) Verify(ctx context.Context, r *http.Request, scopes ...string) (*Token, error) {
	token, refusal := v.verify(ctx, r, scopes)
	if refusal == nil {
		return token, nil
	}
	if v.config.Report != nil {
		v.config.Report(r, refusal)
	}
	return nil, refusal
}

func (v *Verifier) verify(ctx context.Context, r *http.Request, scopes []string) (*Token, *Error) {
	now := v.config.Now()
	// 1. where is the token
	p, refusal := present(r)
	if refusal != nil {
		return nil, refusal
	}
	// 2. is it the issuer's, for us, in its time
	token, refusal := v.check(ctx, p, now)
	if refusal == nil {
		// 3. may whoever holds it use it
		refusal = v.possession(ctx, r, p, token, now)
	}
	if refusal == nil {
		// 4. is it enough
		refusal = enough(token, scopes)
	}
	if refusal == nil && v.introspect != nil {
		// 5. does its session live
		refusal = v.introspect.ask(ctx, p.token)
	}
	if refusal != nil {
		refusal.scheme = p.scheme
		return nil, refusal
	}
	return tokenFrom(token), nil
}

func (v *Verifier) check(ctx context.Context, p presented, now time.Time) (*accesstoken.Token, *Error) {
	token, err := v.checker.Check(ctx, p.token, now)
	switch {
	case err == nil:
		return token, nil
	case errors.Is(err, errKeys):
		return nil, noKeys(err)
	}
	return nil, unauthorized(oauth.InvalidToken, "The access token is expired, malformed or not meant for this API. Get a new one with your refresh token.").because(err)
}

// noKeys: nothing is known about the token.
func noKeys(err error) *Error {
	e := unavailable("The issuer's keys cannot be had right now. Send the request again.", err)
	var t *throttled
	if errors.As(err, &t) {
		e.RetryAfter = t.wait
	}
	return e
}

// possession checks that the sender holds what the token is bound to: the certificate (RFC 8705 §3), the key (RFC 9449
// §7.1, §7.2), or both.
func (v *Verifier) possession(ctx context.Context, r *http.Request, p presented, token *accesstoken.Token, now time.Time) *Error {
	bound := token.JKT != ""
	switch {
	case !token.FitsCertificate(shown(r)):
		return unauthorized(oauth.InvalidToken, "This access token is bound to a client certificate. Send it over a TLS connection that shows this certificate.")
	case bound && p.scheme != schemeDPoP:
		return unauthorized(oauth.InvalidToken, "This access token is bound to a key. Send it as DPoP, with a proof in the DPoP header.")
	case !bound && p.scheme == schemeDPoP:
		return unauthorized(oauth.InvalidToken, "This access token is bound to no key. Send it as Bearer.")
	case !bound && v.config.RequireDPoP:
		return unauthorized(oauth.InvalidToken, "This API takes only access tokens that are bound to a key. Send DPoP proofs to the token endpoint.")
	case !bound:
		return nil
	}
	proof, err := v.proofs.Verify(ctx, dpop.Request{
		Proofs: r.Header.Values("DPoP"), Method: r.Method, URL: v.address(r), AccessToken: p.token,
		TokenUntil: token.ExpiresAt.Add(v.config.Leeway), Now: now,
	})
	switch {
	case errors.Is(err, dpop.ErrUseNonce):
		return unauthorized(oauth.UseDPoPNonce, "Make a new proof with the nonce from the DPoP-Nonce header.").because(err)
	case err != nil:
		return unauthorized(oauth.InvalidDPoPProof, "The DPoP proof is missing or does not fit this request.").because(err)
	case proof.JKT != token.JKT:
		return unauthorized(oauth.InvalidToken, "The DPoP proof is by another key than the one the access token is bound to.")
	}
	switch err := v.seen.First(proof.JKT, proof.JTI, proof.ExpiresAt, now); { // RFC 9449 §11.1
	case errors.Is(err, dpop.ErrUsed):
		return unauthorized(oauth.InvalidDPoPProof, "This DPoP proof was used before. Make a new one for every request.")
	case err != nil:
		return unavailable("Too many proofs are remembered to take another. Send the request again with a new one.", err)
	}
	return nil
}

// shown are the certificates of the request's own TLS connection. No header is read: whoever sends one could write any
// certificate into it.
func shown(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

func enough(token *accesstoken.Token, scopes []string) *Error {
	for _, scope := range scopes {
		if !tokenFrom(token).HasScope(scope) {
			return &Error{
				Status: http.StatusForbidden, Code: string(oauth.InsufficientScope),
				Description: "The access token lacks a scope this request needs. Ask for it when you sign in.", scopes: scopes,
			}
		}
	}
	return nil
}
