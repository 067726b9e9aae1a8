// Package domain holds the nouns of Countersign: types and invariants, no I/O and nothing beyond the standard
// library. Every room may import it; it imports none.
package domain

import (
	"errors"
	"time"
)

// AccountState tells whether an account may be used.
type AccountState int16

// The states of an account. The zero value is no valid state.
const (
	AccountActive   AccountState = 1
	AccountDisabled AccountState = 2
)

func (s AccountState) String() string {
	switch s {
	case AccountActive:
		return "active"
	case AccountDisabled:
		return "disabled"
	}
	return "unknown"
}

// Account is a person (or a guest, later) as apps know them: the `sub` of our tokens.
type Account struct {
	ID        AccountID
	State     AccountState
	CreatedAt time.Time
}

// Identity is a provider's subject that signs in to an account. (Issuer, Subject) is unique; Issuer is canonical
// (one spelling per provider) and e-mail is only ever information, never a key.
type Identity struct {
	ID            IdentityID
	AccountID     AccountID
	Provider      string // name of the provider in the configuration
	Issuer        string
	Subject       string
	Email         string
	EmailVerified bool
	Name          string
	// ProvedEmail is the address whose owner this identity is for certain, normalised; empty where nobody vouches.
	ProvedEmail string
	CreatedAt   time.Time
	LastUsedAt  time.Time
}

// Device is an app installation with a key: one DPoP key used with one client.
type Device struct {
	ID        DeviceID
	ClientID  string
	JKT       string // RFC 7638 thumbprint, 43 characters
	Name      string
	CreatedAt time.Time
}

// Tier says how a session's refresh token is guarded. It is fixed when the session starts.
type Tier int16

// The tiers (DESIGN section 3). The zero value is no valid tier.
const (
	TierBound  Tier = 1 // by the device's DPoP key: rotates, retries are answered until expiry
	TierBearer Tier = 2 // by rotation alone: rotates, retries are answered within the grace
	TierStable Tier = 3 // by the client's own authentication: one token, never rotated (confidential clients)
)

func (t Tier) String() string {
	switch t {
	case TierBound:
		return "bound"
	case TierBearer:
		return "bearer"
	case TierStable:
		return "stable"
	}
	return "unknown"
}

// SessionState tells whether a session lives.
type SessionState int16

// The states of a session. The zero value is no valid state.
const (
	SessionLive  SessionState = 1
	SessionEnded SessionState = 2
)

// EndReason says why a session ended; it is empty while it lives.
type EndReason string

// The reasons. An expired session has no row change and so no reason of its own.
const (
	EndedBySignOut EndReason = "sign_out" // the app revoked a token of it
	EndedByUser    EndReason = "user"     // ended in the account API, perhaps from another device
	EndedByAdmin   EndReason = "admin"
	EndedByReuse   EndReason = "reuse"   // two parties used one refresh token
	EndedByUnlink  EndReason = "unlink"  // the identity that started it was taken off the account
	EndedByLogout  EndReason = "logout"  // the person signed out on our pages, or by an app's RP-initiated logout
	EndedByConsent EndReason = "consent" // what the person agreed to was withdrawn
	EndedByClient  EndReason = "client"  // the client it belongs to had registered itself, and is gone
)

// Session is an account signed in on one device: one row, updated in place, for ever.
type Session struct {
	ID         SessionID
	AccountID  AccountID
	IdentityID IdentityID // the identity that started it
	DeviceID   DeviceID   // zero without a DPoP key
	ClientID   string
	DeviceName string // what the app calls the device, shown in lists

	Tier      Tier
	JKT       string   // DPoP key of a bound session
	Scope     []string // granted; the ceiling of every refresh
	Resources []string // audiences granted; the ceiling; the first is the default

	BrowserID BrowserID // the browser it was started in; zero for native sign-in
	AMR       []string  // how the person proved themselves (RFC 8176); empty for native sign-in
	Claims    []string  // what the client asked userinfo for one by one (OIDC Core §5.5)
	Notify    bool      // its client wants to hear of its end (Back-Channel Logout)
	Details   string    // the authorization_details granted: a JSON array (RFC 9396); empty: none

	CreatedAt time.Time
	AuthTime  time.Time // the upstream's auth_time; zero means unproven
	State     SessionState
	EndReason EndReason
	EndedAt   time.Time

	IdleExpiresAt     time.Time
	AbsoluteExpiresAt time.Time // zero: none
	IdleFor           time.Duration

	Refresh Refresh
}

// Refresh is what the row keeps of a session's refresh token. The secret itself is never stored.
type Refresh struct {
	Counter       uint32
	SecretHash    [32]byte // SHA-256
	KeyID         uint32   // of the current token, so that a retry returns its very bytes
	Format        uint8
	RotatedAt     time.Time // when the current token came to be
	PrevRotatedAt time.Time // when its parent came to be; zero for the first two
	LateStreak    int16     // generations in a row that were retried late
	LateCounter   uint32    // the generation the streak last counted
}

// Expired tells whether the session's time is over at now, by idleness or absolutely.
func (s *Session) Expired(now time.Time) bool {
	return !now.Before(s.IdleExpiresAt) || (!s.AbsoluteExpiresAt.IsZero() && !now.Before(s.AbsoluteExpiresAt))
}

// ClientState tells whether a client may be used now. The difference between the two that may not is what apps hear: a
// disabled client was switched off by an operator, and its sessions are over while that lasts; one that is not declared
// is no client of ours, which may be a slip in a file, and signs nobody out.
type ClientState int16

// The states of a client. The zero value is a client nobody declares.
const (
	ClientUndeclared ClientState = 0 // withdrawn, or never heard of; disabled or not
	ClientLive       ClientState = 1
	ClientDisabled   ClientState = 2
)

func (s ClientState) String() string {
	switch s {
	case ClientUndeclared:
		return "undeclared"
	case ClientLive:
		return "live"
	case ClientDisabled:
		return "disabled"
	}
	return "unknown"
}

// ErrUndeclared is the cause for the request's event where a node that has yet to hear of it let a client in.
var ErrUndeclared = errors.New("the client is no longer declared")

// SessionView is a session as one read of the database saw it, with the liveness of all it hangs on.
type SessionView struct {
	Session
	AccountState AccountState
	ClientState  ClientState
}

// Live tells whether the session may be used at now: one road for this decision wherever a row was read.
func (v *SessionView) Live(now time.Time) bool {
	return v.State == SessionLive && v.AccountState == AccountActive && v.ClientState == ClientLive && !v.Expired(now)
}
