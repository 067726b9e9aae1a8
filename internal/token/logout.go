package token

import (
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

const (
	typeLogout = "logout+jwt" // OIDC Back-Channel Logout §2.4
	// logoutTokenTTL is what the specification advises: it is sent at once, and minted anew for every try.
	logoutTokenTTL = 2 * time.Minute
)

// Logout is what a logout token shall say: which session of whom is over.
type Logout struct {
	Client    *domain.Client
	AccountID domain.AccountID
	SessionID domain.SessionID
}

// logoutClaims are those of Back-Channel Logout §2.4. There is never a nonce: that, with typ and events, is what keeps it
// from being taken for an ID token.
type logoutClaims struct {
	Issuer   string                         `json:"iss"`
	Subject  string                         `json:"sub"`
	Audience string                         `json:"aud"`
	IssuedAt int64                          `json:"iat"`
	Expires  int64                          `json:"exp"`
	JTI      string                         `json:"jti"`
	Session  string                         `json:"sid"`
	Events   map[string]map[string]struct{} `json:"events"`
}

// MintLogout signs a logout token with the algorithm of the client's ID tokens. Its error is that of MintAccess.
func (s *Service) MintLogout(now time.Time, l Logout) (string, error) {
	subject, err := s.Subject(l.Client, l.AccountID)
	if err != nil {
		return "", fmt.Errorf("mint logout token: %w", err)
	}
	token, err := s.sign(l.Client.IDAlg(), typeLogout, &logoutClaims{
		Issuer:   s.Issuer,
		Subject:  subject,
		Audience: l.Client.ID,
		IssuedAt: now.Unix(),
		Expires:  now.Add(logoutTokenTTL).Unix(),
		JTI:      newJTI(),
		Session:  l.SessionID.String(),
		Events:   map[string]map[string]struct{}{"http://schemas.openid.net/event/backchannel-logout": {}},
	})
	if err != nil {
		return "", fmt.Errorf("mint logout token: %w", err)
	}
	return token, nil
}

// MintUserInfo signs a userinfo answer for a client that wants it signed (OIDC Core §5.3.2). The claims are added to.
func (s *Service) MintUserInfo(c *domain.Client, claims map[string]any) (string, error) {
	claims["iss"], claims["aud"] = s.Issuer, c.ID
	token, err := s.sign(c.UserInfoAlg, typeID, claims)
	if err != nil {
		return "", fmt.Errorf("mint userinfo: %w", err)
	}
	return token, nil
}
