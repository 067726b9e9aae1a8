// Package session is an account signed in on one device: how it starts, how its refresh token rotates (DESIGN
// section 3) and how it ends. It returns values and *oauth.Error; it knows no HTTP and no provider.
package session

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/store"
)

// Service does it. Its fields are set by app.
type Service struct {
	DB   *store.DB
	Keys *keyring.Ring
	// Limits
	RetriesPerMinute  int // zero: 10; negative: no limit
	AdvancesPerMinute int // zero: 60; negative: no limit
}

// Start is what signin hands over to open a session.
type Start struct {
	Client     *domain.Client
	JKT        string // of the verified proof; "" without one
	Scope      []string
	Resources  []string
	DeviceName string
	AuthTime   time.Time
	// For the repeat within 60 s; Nonce empty means the secret is random.
	SubjectToken string
	Nonce        string
}

// Prepare makes the row of a new session (state, tier, lifetimes, counter 0) and the refresh token that belongs to
// it. Nothing is stored: the row goes into store.SignIn.
func (s *Service) Prepare(now time.Time, st Start) (domain.Session, RefreshToken, error) {
	panic("unbuilt")
}

// Again re-derives the refresh token of a repeated sign-in from the first one's row.
func (s *Service) Again(row domain.Session, keyID uint32, st Start) (RefreshToken, error) {
	panic("unbuilt")
}

// RefreshToken is the text of one; its LogValue hides it.
type RefreshToken string

// Presented is one use of a refresh token.
type Presented struct {
	Client *domain.Client // authenticated
	Token  string
	JKT    string // of the verified proof; "" without one
}

// Rotated is what the session is after a 200.
type Rotated struct {
	Session domain.Session
	Token   RefreshToken // the successor; the same bytes on a retry
	Retry   bool
}

// Rotate applies the table of DESIGN section 3.
func (s *Service) Rotate(ctx context.Context, p Presented) (*Rotated, error) { panic("unbuilt") }

// Authentic reads a refresh token without using it: MAC, then secret hash against the row, whatever its counter.
// It is how /revoke finds the session. ok is false for anything that is not ours.
func (s *Service) Authentic(ctx context.Context, token string) (v *domain.SessionView, ok bool, err error) {
	panic("unbuilt")
}

// End ends a session; it is no error if it is over already.
func (s *Service) End(ctx context.Context, id domain.SessionID, reason domain.EndReason) error {
	panic("unbuilt")
}
