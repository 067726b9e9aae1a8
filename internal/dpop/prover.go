package dpop

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/jose"
)

// Prover makes proofs, for clients and tests. Safe for concurrent use.
type Prover struct {
	signer *jose.Signer
	jkt    string
}

// NewProver makes a prover with a fresh P-256 key.
func NewProver() (*Prover, error) {
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		return nil, fmt.Errorf("new prover: %w", err)
	}
	signer, err := jose.NewSigner(jose.ES256, "", key)
	if err != nil {
		return nil, fmt.Errorf("new prover: %w", err)
	}
	public := signer.Public()
	jkt, err := public.Thumbprint()
	if err != nil {
		return nil, fmt.Errorf("new prover: %w", err)
	}
	return &Prover{signer: signer, jkt: jkt}, nil
}

// JKT is the thumbprint of its key.
func (p *Prover) JKT() string { return p.jkt }

// Proof makes a proof; nonce and accessToken may be empty. Query and fragment of url are left out (RFC 9449 §4.2).
func (p *Prover) Proof(method, url, nonce, accessToken string, now time.Time) (string, error) {
	if i := strings.IndexAny(url, "?#"); i >= 0 {
		url = url[:i]
	}
	claims := struct {
		JTI   string `json:"jti"`
		HTM   string `json:"htm"`
		HTU   string `json:"htu"`
		IAT   int64  `json:"iat"`
		Nonce string `json:"nonce,omitempty"`
		ATH   string `json:"ath,omitempty"`
	}{JTI: rand.Text(), HTM: method, HTU: url, IAT: now.Unix(), Nonce: nonce}
	if accessToken != "" {
		claims.ATH = accessTokenHash(accessToken)
	}
	return p.signer.SignWithJWK(proofTyp, claims)
}
