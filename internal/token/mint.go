package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

const (
	typeAccess = "at+jwt" // RFC 9068 §2.1
	typeID     = "JWT"

	// idTokenTTL bounds how long an ID token may be taken for news of a sign-in.
	idTokenTTL = 10 * time.Minute
)

// The token types of RFC 6749 §7.1 and RFC 9449 §5.
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

// Access is what an access token shall say. SessionID zero means client credentials: the subject is the client.
type Access struct {
	Client    *domain.Client
	AccountID domain.AccountID
	SessionID domain.SessionID
	Audience  string
	Scope     []string
	JKT       string // thumbprint of the DPoP key it is bound to; empty: none
	X5T       string // thumbprint of the certificate it is bound to; empty: none
	AuthTime  time.Time
	AMR       []string        // RFC 8176; empty where we do not know
	Details   json.RawMessage // authorization_details of the audience: a JSON array; empty: none
}

// Minted is a signed token and how long it lives.
type Minted struct {
	Token     string
	Type      string // "Bearer" or "DPoP"
	ExpiresIn time.Duration
}

// accessClaims are those of RFC 9068 §2.2, with `sid` (OIDC Front-Channel Logout §3) and `cnf` (RFC 9449 §6).
type accessClaims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience string          `json:"aud"`
	ClientID string          `json:"client_id"`
	Expires  int64           `json:"exp"`
	IssuedAt int64           `json:"iat"`
	JTI      string          `json:"jti"`
	Scope    string          `json:"scope,omitempty"`
	Session  string          `json:"sid,omitempty"`
	AuthTime int64           `json:"auth_time,omitempty"`
	ACR      string          `json:"acr,omitempty"` // RFC 9470 §6.2
	AMR      []string        `json:"amr,omitempty"`
	Details  json.RawMessage `json:"authorization_details,omitempty"` // RFC 9396 §9.1
	Confirm  *confirmation   `json:"cnf,omitempty"`
}

// confirmation says what the holder must show: the key of a proof (RFC 9449 §6.1), a certificate (RFC 8705 §3.1), or both.
type confirmation struct {
	JKT string `json:"jkt,omitempty"`
	X5T string `json:"x5t#S256,omitempty"`
}

// MintAccess signs an at+jwt (RFC 9068). Without a key to sign with, for the moment, the error is
// temporarily_unavailable.
func (s *Service) MintAccess(now time.Time, a Access) (Minted, error) {
	cnf := confirmation{JKT: a.JKT, X5T: a.X5T}
	lives := a.Client.AccessTTL(cnf != confirmation{})
	claims := accessClaims{
		Issuer:   s.Issuer,
		Subject:  a.Client.ID,
		Audience: a.Audience,
		ClientID: a.Client.ID,
		Expires:  now.Add(lives).Unix(),
		IssuedAt: now.Unix(),
		JTI:      newJTI(),
		Scope:    oauth.JoinScope(a.Scope),
		AuthTime: seconds(a.AuthTime),
		ACR:      domain.ACR(a.AMR),
		AMR:      a.AMR,
		Details:  a.Details,
	}
	if !a.SessionID.IsZero() {
		subject, err := s.Subject(a.Client, a.AccountID)
		if err != nil {
			return Minted{}, fmt.Errorf("mint access token: %w", err)
		}
		claims.Subject, claims.Session = subject, a.SessionID.String()
	}
	m := Minted{Type: bearer, ExpiresIn: lives}
	if cnf != (confirmation{}) {
		claims.Confirm = &cnf
	}
	if a.JKT != "" {
		m.Type = dpop // a token bound to a certificate alone is sent as Bearer (RFC 8705 §3)
	}
	var err error
	m.Token, err = s.sign(a.Client.AccessAlg(), typeAccess, &claims)
	if err != nil {
		return Minted{}, fmt.Errorf("mint access token: %w", err)
	}
	return m, nil
}

// ID is what an ID token shall say (OIDC Core §2). What is known of the person is at userinfo; Claims are those the client
// asked to have in here.
type ID struct {
	Client      *domain.Client
	AccountID   domain.AccountID
	SessionID   domain.SessionID
	Nonce       string
	AuthTime    time.Time
	AMR         []string
	AccessToken string         // that comes along; empty: none
	Claims      map[string]any // of PersonClaims
}

type idClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	AuthTime int64  `json:"auth_time,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
	Session  string `json:"sid"`
	AtHash   string `json:"at_hash,omitempty"` // OIDC Core §3.1.3.6

	ACR string   `json:"acr,omitempty"`
	AMR []string `json:"amr,omitempty"`

	person map[string]any
}

// MarshalJSON writes the person's claims beside the token's own, which none of them can be.
func (c *idClaims) MarshalJSON() ([]byte, error) {
	type own idClaims
	body, err := json.Marshal((*own)(c))
	if err != nil || len(c.person) == 0 {
		return body, err
	}
	more, err := json.Marshal(c.person)
	if err != nil {
		return nil, err
	}
	return append(append(body[:len(body)-1], ','), more[1:]...), nil
}

// tokenHash is the left half of the hash of an access token, for ES256 and RS256 alike.
func tokenHash(access string) string {
	if access == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// MintID signs an ID token. Its error is that of MintAccess.
func (s *Service) MintID(now time.Time, id ID) (string, error) {
	subject, err := s.Subject(id.Client, id.AccountID)
	if err != nil {
		return "", fmt.Errorf("mint ID token: %w", err)
	}
	token, err := s.sign(id.Client.IDAlg(), typeID, &idClaims{
		Issuer:   s.Issuer,
		Subject:  subject,
		Audience: id.Client.ID,
		Expires:  now.Add(idTokenTTL).Unix(),
		IssuedAt: now.Unix(),
		AuthTime: seconds(id.AuthTime),
		Nonce:    id.Nonce,
		Session:  id.SessionID.String(),
		AtHash:   tokenHash(id.AccessToken),
		ACR:      domain.ACR(id.AMR),
		AMR:      id.AMR,
		person:   id.Claims,
	})
	if err != nil {
		return "", fmt.Errorf("mint ID token: %w", err)
	}
	return token, nil
}

func (s *Service) sign(alg domain.SigningAlg, typ string, claims any) (string, error) {
	signer, err := s.Keys.Signer(alg)
	if err != nil {
		return "", oauth.Unavailable(err) // one was dropped and its successor is still to be read: the next try finds it
	}
	return signer.Sign(typ, claims)
}

// newJTI returns 128 random bits.
func newJTI() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// seconds is a NumericDate; zero is none.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
