package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
)

// Start is what signin hands over to open a session.
type Start struct {
	Client     *domain.Client
	JKT        string // of the verified proof; "" without one
	Scope      []string
	Resources  []string
	DeviceName string
	AuthTime   time.Time
	AMR        []string // how the person proved themselves, where we know
	Claims     []string // asked of userinfo one by one
	Details    string   // the authorization_details granted (RFC 9396): a JSON array; empty: none
	// For the repeat within 60 s; Nonce empty means the secret is random.
	SubjectToken string
	Nonce        string
}

// Prepare makes the row of a new session (state, tier, lifetimes, counter 0) and the refresh token that belongs to
// it. Nothing is stored: the row goes into store.SignIn. The data key of token and secret is the row's
// Refresh.KeyID; a nonce that allows the repeat must be stored with it.
func (s *Service) Prepare(now time.Time, st Start) (domain.Session, RefreshToken, error) {
	keyID := s.Keys.Current()
	macKey, ok := s.Keys.Key(keyID, keyring.RefreshMAC)
	if !ok {
		return domain.Session{}, "", fmt.Errorf("start session: data key %d is unknown", keyID)
	}
	row := newRow(now, st)
	secret, err := s.startSecret(row.ID, keyID, st)
	if err != nil {
		return domain.Session{}, "", fmt.Errorf("start session: %w", err)
	}
	row.Refresh = domain.Refresh{
		SecretHash: sha256.Sum256(secret[:]),
		KeyID:      keyID,
		Format:     format1,
		RotatedAt:  now,
	}
	return row, firstToken(row, secret, macKey), nil
}

func newRow(now time.Time, st Start) domain.Session {
	tier := tierOf(st)
	life := st.Client.Lifetimes(tier)
	row := domain.Session{
		ID:            domain.NewID[domain.SessionID](),
		ClientID:      st.Client.ID,
		DeviceName:    st.DeviceName,
		Tier:          tier,
		Scope:         st.Scope,
		Resources:     st.Resources,
		CreatedAt:     now,
		AuthTime:      st.AuthTime,
		AMR:           st.AMR,
		Claims:        st.Claims,
		Details:       st.Details,
		Notify:        st.Client.BackchannelLogout != "",
		State:         domain.SessionLive,
		IdleFor:       life.Idle,
		IdleExpiresAt: now.Add(life.Idle),
	}
	if tier == domain.TierBound {
		row.JKT = st.JKT
	}
	if life.Absolute > 0 {
		row.AbsoluteExpiresAt = now.Add(life.Absolute)
	}
	return row
}

// tierOf fixes how the session is guarded, for its life (DESIGN section 3). A confidential client's own
// authentication guards it, whatever key comes along (FAPI 2.0 §5.3.2.1).
func tierOf(st Start) domain.Tier {
	switch {
	case st.Client.Confidential():
		return domain.TierStable
	case st.JKT != "":
		return domain.TierBound
	}
	return domain.TierBearer
}

// Again re-derives the refresh token of a repeated sign-in from the first one's row.
func (s *Service) Again(row domain.Session, keyID uint32, st Start) (RefreshToken, error) {
	secret, err := s.startSecret(row.ID, keyID, st)
	if err != nil {
		return "", fmt.Errorf("repeat session start: %w", err)
	}
	hash := sha256.Sum256(secret[:])
	if subtle.ConstantTimeCompare(hash[:], row.Refresh.SecretHash[:]) != 1 || row.Refresh.Counter != 0 || st.Nonce == "" {
		return "", errors.New("repeat session start: this is not how the session started")
	}
	macKey, ok := s.Keys.Key(row.Refresh.KeyID, keyring.RefreshMAC)
	if !ok || row.Refresh.Format != format1 {
		return "", fmt.Errorf("repeat session start: data key %d or format %d is unknown", row.Refresh.KeyID, row.Refresh.Format)
	}
	return firstToken(row, secret, macKey), nil
}

func firstToken(row domain.Session, secret [secretLen]byte, macKey []byte) RefreshToken {
	return handle{format: row.Refresh.Format, keyID: row.Refresh.KeyID, session: row.ID, secret: secret}.mint(macKey)
}

// startSecret is random, except for a native sign-in: there it follows from the sign-in, so that the repeat finds
// the same one although it is stored nowhere.
func (s *Service) startSecret(id domain.SessionID, keyID uint32, st Start) (secret [secretLen]byte, err error) {
	if st.Nonce == "" {
		_, _ = rand.Read(secret[:]) // never fails since Go 1.24
		return secret, nil
	}
	key, ok := s.Keys.Key(keyID, keyring.SessionStart)
	if !ok {
		return secret, fmt.Errorf("data key %d is unknown", keyID)
	}
	evidence := sha256.Sum256([]byte(st.SubjectToken))
	m := hmac.New(sha256.New, key)
	m.Write(id[:])
	m.Write(evidence[:])
	m.Write([]byte(st.Nonce)) // last, for it alone has no fixed length
	copy(secret[:], m.Sum(nil))
	return secret, nil
}
