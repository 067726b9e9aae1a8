package session

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
)

// What an app is told. A sentence never says more than the holder of the token may know: why a session is over is
// for the account's owner and the audit trail.
var (
	errNotValid     = oauth.E(oauth.InvalidGrant, "The refresh token is not valid. Sign in again.")
	errOver         = oauth.E(oauth.InvalidGrant, "This session has ended. Sign in again.")
	errAccountOff   = oauth.E(oauth.InvalidGrant, "The account is disabled. Signing in again will not help: the person must ask whoever runs this service.")
	errClientOff    = oauth.E(oauth.InvalidGrant, "This client is disabled. Signing in again will not help: ask the operator of this server to enable it.")
	errReused       = oauth.E(oauth.InvalidGrant, "This refresh token was replaced earlier and has been used again, so the session was ended. Sign in again.")
	errOtherClient  = oauth.E(oauth.InvalidGrant, "The refresh token was not issued to this client.")
	errOtherKey     = oauth.E(oauth.InvalidGrant, "The session is bound to another DPoP key. Use the key it was started with.")
	errProofMissing = oauth.E(oauth.InvalidDPoPProof, "The session is bound to a DPoP key. Send a DPoP proof made with the key it was started with.")
)

// errNoAudience: the resource the session was signed in for was taken from the client since. It may be a slip in the
// configuration, so the token is not spent and nobody is signed out.
var errNoAudience = oauth.E(oauth.InvalidTarget,
	"The resource this session was signed in for is no longer one this client may ask tokens for. Name another one that was granted, or keep the token and retry later.")

// notLiveError says what about a session that is not live keeps its token from being good. A session that is over is
// that first of all: what became of the account since is not for whoever holds an old token of it.
func notLiveError(v *domain.SessionView, now time.Time) *oauth.Error {
	switch {
	case v.State != domain.SessionLive || v.Expired(now):
		return errOver
	case v.AccountState != domain.AccountActive:
		return errAccountOff
	case v.ClientState != domain.ClientLive:
		return errClientOff
	}
	return errOver
}

// errOvertaken answers a request that the network delivered after the next one had been answered.
func errOvertaken() *oauth.Error {
	e := oauth.E(oauth.TemporarilyUnavailable, "A newer refresh overtook this one. Retry with the newest refresh token you have stored.")
	e.RetryAfter = time.Second
	return e
}

func tooMany(ctx context.Context, what string, wait time.Duration) *oauth.Error {
	event.Add(ctx, "rotation", "too_many_"+what)
	e := oauth.E(oauth.TooManyRequests, "This session refreshes too often. Wait for the time in Retry-After, then retry with the same token.")
	e.RetryAfter = wait.Truncate(time.Second) + time.Second
	return e
}
