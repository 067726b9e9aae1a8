package domain

import "time"

// ClientProfile is a set of rules for clients with high stakes.
type ClientProfile string

// The profiles.
const (
	ProfileNone    ClientProfile = ""
	ProfileFAPI    ClientProfile = "fapi2"                 // FAPI 2.0 Security Profile
	ProfileMessage ClientProfile = "fapi2-message-signing" // and FAPI 2.0 Message Signing on top of it
)

// What follows is all that a profile changes: every rule that knows more than one answer asks here, and nothing else
// looks at the profile. What no client may do without needs no profile: PKCE with S256, codes of a minute that work once,
// exact redirect URIs, `iss` in every answer, refresh tokens that do not rotate for clients that authenticate.

// FAPI tells whether the client is under the FAPI 2.0 Security Profile.
func (c *Client) FAPI() bool { return c.Profile == ProfileFAPI || c.Profile == ProfileMessage }

// MustPush tells whether an authorization request is taken only from /par (FAPI 2.0 §5.3.2.2).
func (c *Client) MustPush() bool { return c.RequirePushed || c.FAPI() }

// MustUsePKCE tells whether code_challenge may not be left out (FAPI 2.0 §5.3.2.2).
func (c *Client) MustUsePKCE() bool { return !c.WithoutPKCE || !c.Confidential() || c.FAPI() }

// MustSignRequest tells whether the parameters must come in a signed request object (FAPI 2.0 Message Signing §5.3.1).
func (c *Client) MustSignRequest() bool { return c.RequireSignedRequest || c.Profile == ProfileMessage }

// MustSignResponse tells whether the answer must be asked for as a signed one (FAPI 2.0 Message Signing §5.4.1).
func (c *Client) MustSignResponse() bool { return c.Profile == ProfileMessage }

// MustProve tells whether a token request needs a DPoP proof. Under FAPI every access token is bound, to a DPoP key or to
// the client's certificate (FAPI 2.0 §5.3.2.1).
func (c *Client) MustProve() bool {
	return c.DPoP == DPoPRequired || (c.FAPI() && !c.CertificateBound)
}

// TakesAlg tells whether the client may sign with an algorithm: FAPI knows no RS256 (FAPI 2.0 §5.4.1).
func (c *Client) TakesAlg(alg SigningAlg) bool { return alg != RS256 || !c.FAPI() }

// TakesProof tells whether a DPoP proof of the client, verified, is one that it may send: signed with an algorithm of the
// profile, and not by a clock that is more than a minute ahead, whatever nonce it carries (FAPI 2.0 §5.3.2.1, 13 and
// §5.4.1).
func (c *Client) TakesProof(alg SigningAlg, issued, now time.Time) bool {
	return !c.FAPI() || c.TakesAlg(alg) && !issued.After(now.Add(time.Minute))
}

// TakesTokenURL tells whether the token endpoint will do as the audience of a client assertion (FAPI 2.0 §5.3.2.1: the
// issuer alone).
func (c *Client) TakesTokenURL() bool { return c.LegacyAssertionAudience && !c.FAPI() }
