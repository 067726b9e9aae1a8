// Package session is an account signed in on one device: how it starts, how its refresh token rotates (DESIGN
// section 3) and how it ends. It returns values and *oauth.Error; it knows no HTTP and no provider.
package session

import (
	"sync"
	"time"

	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/store"
)

// Service does it. Its fields are set by app.
type Service struct {
	DB   *store.DB
	Keys *keyring.Ring
	// RecoverUntil is when a declared recovery ends; zero: none is declared
	RecoverUntil time.Time
	// Limits
	RetriesPerMinute  int // zero: 10; negative: no limit
	AdvancesPerMinute int // zero: 60; negative: no limit

	limits   limits
	limitsAt sync.Once
}
