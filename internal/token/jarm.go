package token

import (
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// responseTTL bounds how long a signed answer may travel through the browser (JARM §2.1: ten minutes at most).
const responseTTL = 5 * time.Minute

// MintResponse signs what a client is told through the browser (JARM §2.1). What the three claims of its own are called no
// parameter is. Its error is that of MintAccess.
func (s *Service) MintResponse(now time.Time, c *domain.Client, params map[string]string) (string, error) {
	claims := make(map[string]any, len(params)+3)
	for name, value := range params {
		claims[name] = value
	}
	claims["iss"], claims["aud"], claims["exp"] = s.Issuer, c.ID, now.Add(responseTTL).Unix()
	token, err := s.sign(c.JARMAlg(), typeID, claims)
	if err != nil {
		return "", fmt.Errorf("mint authorization response: %w", err)
	}
	return token, nil
}
