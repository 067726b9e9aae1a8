package domain

import (
	"encoding/json"
	"time"
)

// FlowKind says what began a trip through the pages.
type FlowKind int16

// The kinds. The zero value is no valid kind.
const (
	FlowAuthorize FlowKind = 1 // a client sent the browser to /authorize
	FlowDevice    FlowKind = 2 // a device without a browser asked at /device_authorization (RFC 8628)
	FlowPushed    FlowKind = 3 // a request a client left at /par (RFC 9126): trips begin from it until one has its code
)

// FlowState says how far a flow has come. It only ever goes forward, one conditional statement a step.
type FlowState int16

// The states. The zero value is no valid state.
const (
	FlowOpen     FlowState = 1 // nobody has signed in yet
	FlowSignedIn FlowState = 2 // somebody has; they have yet to agree
	FlowGranted  FlowState = 3 // the code is out, or the device may fetch its tokens
	FlowRedeemed FlowState = 4 // spent: its session exists
	FlowRefused  FlowState = 5 // denied, cancelled, or burned by a redemption that was wrong
)

func (s FlowState) String() string {
	switch s {
	case FlowOpen:
		return "open"
	case FlowSignedIn:
		return "signed_in"
	case FlowGranted:
		return "granted"
	case FlowRedeemed:
		return "redeemed"
	case FlowRefused:
		return "refused"
	}
	return "unknown"
}

// Flow is one trip through the pages: from /authorize, or from a device, to a code that was redeemed. It is one row,
// updated in place.
type Flow struct {
	ID        FlowID
	Kind      FlowKind
	State     FlowState
	Version   int64    // counts its changes: a step is taken only from the version that was seen
	Visitor   [32]byte // SHA-256 of the secret of the browser that makes the trip; zero: no browser has come yet
	Request   AuthRequest
	Progress  []byte // what is under way (a provider's trip, an e-mail code, a passkey's challenge), sealed by its rule
	Attempts  int16  // wrong e-mail codes
	CreatedAt time.Time
	ExpiresAt time.Time

	// From FlowSignedIn on.
	AccountID  AccountID
	IdentityID IdentityID
	BrowserID  BrowserID
	AuthTime   time.Time // zero: unproven
	AMR        []string  // RFC 8176

	// From FlowGranted on.
	Scope      []string // what the person agreed to
	CodeHash   [32]byte // SHA-256 of the code; from the beginning that of the device code, or of a pushed request_uri
	SessionID  SessionID
	RedeemedAt time.Time

	// A device's.
	UserCode string        // without its dash; empty once it was used
	Interval time.Duration // between polls; grows with every one that comes too soon
	PolledAt time.Time
}

// Expired tells whether the flow's time is over.
func (f *Flow) Expired(now time.Time) bool { return !now.Before(f.ExpiresAt) }

// AuthRequest is what a client asked for, checked once and immutable afterwards (ATTACKS AZ14).
type AuthRequest struct {
	ClientID      string   `json:"client_id"`
	RedirectURI   string   `json:"redirect_uri,omitempty"`
	ResponseMode  string   `json:"response_mode,omitempty"` // query, form_post, and their signed twins
	State         string   `json:"state,omitempty"`
	Nonce         string   `json:"nonce,omitempty"`
	Challenge     string   `json:"code_challenge,omitempty"` // S256; empty where the client may do without
	Scope         []string `json:"scope,omitempty"`
	Resources     []string `json:"resources,omitempty"` // audiences; the first is the default
	Prompt        []string `json:"prompt,omitempty"`
	MaxAge        *int64   `json:"max_age,omitempty"`    // seconds
	ACR           []string `json:"acr_values,omitempty"` // nothing less will do
	LoginHint     string   `json:"login_hint,omitempty"`
	HintedSubject string   `json:"hinted_subject,omitempty"` // as the client knows it, of id_token_hint or claims: nobody else may come back
	Locales       []string `json:"ui_locales,omitempty"`
	Claims        Claims   `json:"claims,omitzero"`
	ClaimsText    string   `json:"claims_text,omitempty"` // as it came, to ask for the same again
	DPoPJKT       string   `json:"dpop_jkt,omitempty"`    // RFC 9449 §10: the code is good for this key only
	Agent         string   `json:"agent,omitempty"`       // what a list of devices may call the browser

	// Details are the authorization_details asked for, checked: a JSON array (RFC 9396); empty: none.
	Details json.RawMessage `json:"authorization_details,omitempty"`
	// Pushed is the request at /par that this trip began from; it is spent when the trip has its code.
	Pushed FlowID `json:"pushed,omitzero"`
}

// Claims are the members a client asked for one by one (OIDC Core §5.5).
type Claims struct {
	IDToken  []string `json:"id_token,omitempty"`
	UserInfo []string `json:"userinfo,omitempty"`
}

// IsZero tells whether none were asked for.
func (c Claims) IsZero() bool { return len(c.IDToken) == 0 && len(c.UserInfo) == 0 }

// Browser is a browser signed in to an account: what the cookie of single sign-on names. Many clients' sessions may
// hang on it. Its secret is never stored.
type Browser struct {
	ID         BrowserID
	SecretHash [32]byte // SHA-256 of the cookie's secret
	// PreviousHash is of the cookie before; zero: none. Whoever has it is not signed in: it is there for the browser to which
	// the answer with the new cookie was lost.
	PreviousHash [32]byte
	AccountID    AccountID
	IdentityID   IdentityID // that signed in
	AuthTime     time.Time  // proven; zero: unproven
	AMR          []string   // RFC 8176
	CreatedAt    time.Time
	SeenAt       time.Time // to the hour: it need not be written at every visit
	ExpiresAt    time.Time // of its idleness
	EndsAt       time.Time // absolutely
	EndedAt      time.Time // zero: signed in
}

// BrowserView is a browser as one read of the database saw it.
type BrowserView struct {
	Browser
	AccountState AccountState
	IdentityGone bool // it was unlinked

	// Of the identity that signed in: the way it did. Empty where it is gone.
	Issuer, Provider string
}

// Live tells whether the browser is signed in at now.
func (v *BrowserView) Live(now time.Time) bool {
	return v.EndedAt.IsZero() && v.AccountState == AccountActive && !v.IdentityGone && now.Before(v.ExpiresAt) && now.Before(v.EndsAt)
}

// Consent is what a person agreed that a client may have. Asking for no more is not asked again.
type Consent struct {
	AccountID AccountID
	ClientID  string
	Scope     []string
	Resources []string
	GrantedAt time.Time
}

// Covers tells whether everything asked for was agreed to.
func (c *Consent) Covers(scope, resources []string) bool {
	return containsAll(c.Scope, scope) && containsAll(c.Resources, resources)
}

// Passkey is a WebAuthn credential (WebAuthn L3 §4). Its identity, of issuer PasskeyIssuer, has the credential's id as
// subject.
type Passkey struct {
	IdentityID   IdentityID
	AccountID    AccountID
	CredentialID []byte
	Record       json.RawMessage // the credential record of WebAuthn §4 as the passkey room writes it; no secret
	SignCount    uint32
	Name         string
	CreatedAt    time.Time
	LastUsedAt   time.Time
}

// The issuers of identities that Countersign itself is the judge of.
const (
	EmailIssuer   = "urn:countersign:email"   // the subject is an address that was proved by a code
	PasskeyIssuer = "urn:countersign:passkey" // the subject is the credential id, base64url
)

// The values of `acr`, weakest first, and what proves each (docs/api.md).
const (
	ACRSingle = "urn:countersign:acr:1" // a provider's word, or a code sent to a proved address
	ACRPhish  = "phr"                   // phishing-resistant: a passkey with user verification (OpenID EAP ACR Values 1.0)
)

// The values of `amr` (RFC 8176 §2, OpenID EAP).
const (
	AMRFederated = "fed"  // ours: a provider's word
	AMRCode      = "otp"  // a one-time code by e-mail
	AMRPasskey   = "swk"  // a passkey: proof of possession of a key
	AMRVerified  = "user" // and the authenticator verified the person
)

// ACR is what methods of authentication are worth.
func ACR(amr []string) string {
	switch {
	case len(amr) == 0:
		return ""
	case containsAll(amr, []string{AMRPasskey, AMRVerified}):
		return ACRPhish
	}
	return ACRSingle
}

// ACRSuffices tells whether what a person has reached is at least one of the wanted values; none wanted is always
// reached.
func ACRSuffices(reached string, wanted []string) bool {
	if len(wanted) == 0 {
		return true
	}
	for _, w := range wanted {
		if w == reached || (w == ACRSingle && reached == ACRPhish) {
			return true
		}
	}
	return false
}

func containsAll(have, want []string) bool {
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || h == w
		}
		if !found {
			return false
		}
	}
	return true
}
