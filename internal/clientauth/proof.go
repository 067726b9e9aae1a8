package clientauth

import (
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
)

// MayProve tells whether a verified DPoP proof is one that this client may send: a profile knows fewer algorithms, and lets
// no clock be far ahead. The error is invalid_dpop_proof.
func MayProve(c *domain.Client, p *dpop.Proof, now time.Time) error {
	if c.TakesProof(domain.SigningAlg(p.Alg), p.IssuedAt, now) {
		return nil
	}
	return oauth.E(oauth.InvalidDPoPProof,
		"The profile of this client takes proofs signed with ES256, PS256 or EdDSA, whose iat is not more than a minute ahead.")
}
