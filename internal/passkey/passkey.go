// Package passkey judges passkeys: WebAuthn registrations and sign-ins (WebAuthn Level 3 §7.1 and §7.2). It is the only
// importer of the WebAuthn library, imports no store and keeps no memory.
//
// It refuses everything but discoverable credentials whose authenticator verified the person, made and used on a page
// of the issuer itself: another origin, an embedded page, another RP id, an answer without user presence or user
// verification, an algorithm that was not offered, attestation that was not asked for, JSON with duplicate names or
// anything behind it, and answers over 64 KiB. It does not attest: which make of authenticator a person has is not
// asked.
//
// Three things are the caller's, because they need the database: that a state is used once and only by the browser it
// was made for (ATTACKS WA01), that a credential id is registered once (§7.1 step 26), and that a signature counter
// only rises (§7.2 step 22).
package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

// The refusals.
var (
	// ErrInvalid is wrapped with what is wrong with an answer. It is the visitor's: 400.
	ErrInvalid = errors.New("invalid passkey answer")
	// ErrIssuer is returned by New for an issuer that cannot have passkeys: browsers bind them to a name, and an IP
	// address is none.
	ErrIssuer = errors.New("passkeys need an issuer whose host is a name")
)

const (
	lifetime         = 5 * time.Minute // how long a person has to answer (§15.1 recommends 5 to 10)
	maxResponseBytes = 64 << 10
	maxStateBytes    = 4 << 10
)

// Verifier begins and judges ceremonies for one issuer. It may be used by several goroutines.
type Verifier struct {
	origin string
	rp     *webauthn.WebAuthn
}

// User is whom a passkey is made for. Name and DisplayName are shown by the authenticator when a person chooses.
type User struct {
	Handle            []byte // 1 to 64 bytes that tell nothing of the person (§14.6.1): the account's id
	Name, DisplayName string
}

// New makes the verifier of an issuer, such as "https://login.example.com": the RP id is its host, the one accepted
// origin the issuer itself. The display name is the service's, shown by some authenticators.
func New(issuer, displayName string) (*Verifier, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Scheme+"://"+u.Host != issuer || u.Host == "" {
		return nil, fmt.Errorf("%w: %q is no origin", ErrIssuer, issuer)
	}
	host := u.Hostname()
	if net.ParseIP(host) != nil || host != strings.ToLower(host) {
		return nil, fmt.Errorf("%w: %q", ErrIssuer, host)
	}
	ceremony := webauthn.TimeoutConfig{Timeout: lifetime, TimeoutUVD: lifetime}
	rp, err := webauthn.New(&webauthn.Config{
		RPID:                  host,
		RPDisplayName:         displayName,
		RPOrigins:             []string{issuer},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification:   protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: ceremony, Registration: ceremony},
		// §7.1 step 17 and §7.2 step 18 leave unasked-for extension outputs to us. Password managers send some
		// (credProps); we ask for none and read none.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	return &Verifier{origin: issuer, rp: rp}, nil
}

// RPID is the name browsers bind this issuer's passkeys to.
func (v *Verifier) RPID() string { return v.rp.Config.RPID }

// offered lists the algorithms in the order we like them. RS256 is there for TPMs of older PCs.
var offered = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// encode writes the options for the browser and the state for the caller.
func encode(now time.Time, options any, s state) (json.RawMessage, []byte, error) {
	s.Version, s.Expires = stateVersion, now.Add(lifetime).Unix()
	written, err := json.Marshal(options)
	if err != nil {
		return nil, nil, fmt.Errorf("write passkey options: %w", err)
	}
	kept, err := json.Marshal(s)
	if err != nil {
		return nil, nil, fmt.Errorf("write passkey state: %w", err)
	}
	return written, kept, nil
}

func invalid(format string, values ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, values...))
}

// verdict wraps what the library says. Its sentences name no secret; its debugging texts, which hold challenges, stay
// out.
func verdict(err error) error {
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}
