package dpop

import (
	"errors"

	"github.com/countersign/countersign/internal/oauth"
)

// Refusal is what a caller is told of an error of this package: a verdict on the proof, or a passing fault of ours.
func Refusal(err error) error {
	switch {
	case errors.Is(err, ErrUseNonce):
		return oauth.E(oauth.UseDPoPNonce, "Repeat the request with a new proof that carries the nonce of the DPoP-Nonce header.").Because(err)
	case errors.Is(err, ErrUsed):
		return oauth.E(oauth.InvalidDPoPProof, "This DPoP proof was used before. Make a new one, with its own jti, for every request.")
	case errors.Is(err, ErrInvalid):
		return oauth.E(oauth.InvalidDPoPProof, "This is an "+err.Error()+".").Because(err)
	}
	return oauth.Unavailable(err)
}
