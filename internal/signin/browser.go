package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// How long a browser stays signed in on our pages: as long as a session in a browser (DESIGN section 3).
const (
	browserIdle     = 14 * day
	browserAbsolute = 30 * day
	secretLen       = 32
	seenEvery       = time.Hour // a visit sooner after the last is not written down
)

// Arrival is evidence that came on our pages: exactly one of Subject, Email, Passkey and Made is set.
type Arrival struct {
	Now      time.Time
	Client   *domain.Client
	Flow     domain.Flow      // the step to take, from the version that was seen
	Replaces domain.BrowserID // who was signed in here before (Known)
	AuthTime time.Time        // proven; zero: unproven
	AMR      []string
	Expected func(domain.AccountID) bool // who alone may arrive; nil: anybody may

	Subject        *upstream.Subject
	User           string // Apple's name object: unsigned text
	RefreshToken   string // Apple's, to be revoked with the identity
	ProviderClient string // whose client id at the provider it hangs on

	Email   string // proved by a code; normalised
	Passkey *passkey.Assertion
	Made    []byte // credential id of a passkey that this account has just made, person verified
}

// Arrived is a browser that was signed in.
type Arrived struct {
	Flow       domain.Flow
	Browser    domain.Browser
	Cookie     string
	NewAccount bool
}

// Turned says why evidence that held signs nobody in.
type Turned struct{ Reason TurnReason }

func (t *Turned) Error() string { return "turned away: " + string(t.Reason) }

// TurnReason is a reason.
type TurnReason string

// The reasons.
const (
	MovedOn  TurnReason = "moved_on" // the trip took another step meanwhile
	Other    TurnReason = "other"    // another account than the one that was asked for
	Disabled TurnReason = "disabled" // the account
	Unknown  TurnReason = "unknown"  // no account has this passkey
	Cloned   TurnReason = "cloned"   // its counter went backwards
)

// Arrive signs a browser in to the account of the evidence, found, joined or made, in the transaction of the flow's step.
// The error is a *Turned or an *oauth.Error.
func (s *Service) Arrive(ctx context.Context, a Arrival) (*Arrived, error) {
	secret := make([]byte, secretLen)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	w := store.BrowserSignIn{
		Now: a.Now, Flow: a.Flow, Replaces: a.Replaces, Expected: a.Expected,
		NewAccount: domain.Account{ID: domain.NewID[domain.AccountID](), State: domain.AccountActive, CreatedAt: a.Now},
		Browser: domain.Browser{
			ID: domain.NewID[domain.BrowserID](), SecretHash: sha256.Sum256(secret), AuthTime: a.AuthTime, AMR: a.AMR,
			CreatedAt: a.Now, SeenAt: a.Now, ExpiresAt: a.Now.Add(browserIdle), EndsAt: a.Now.Add(browserAbsolute),
		},
		Event: audit(ctx, a.Now, a.Client.ID),
	}
	if err := s.identify(&w, a); err != nil {
		return nil, err
	}
	done, err := s.DB.SignInBrowser(ctx, w)
	if err != nil {
		return nil, oauth.Unavailable(fmt.Errorf("sign a browser in: %w", err))
	}
	if reason, turned := turnReasons[done.Verdict]; turned {
		event.Add(ctx, "sign_in", string(reason))
		return nil, &Turned{reason}
	}
	event.Add(ctx, "account", done.Browser.AccountID)
	return &Arrived{
		Flow: done.Flow, Browser: done.Browser, NewAccount: done.NewAccount, Cookie: cookieOf(done.Browser.ID, secret),
	}, nil
}

var turnReasons = map[store.BrowserVerdict]TurnReason{
	store.FlowMovedOn: MovedOn, store.OtherAccount: Other, store.BrowserAccountNotLive: Disabled,
	store.UnknownIdentity: Unknown, store.PasskeyCloned: Cloned,
}

// identify fills in whose evidence it is.
func (s *Service) identify(w *store.BrowserSignIn, a Arrival) error {
	i := domain.Identity{ID: domain.NewID[domain.IdentityID](), CreatedAt: a.Now, LastUsedAt: a.Now}
	switch {
	case a.Subject != nil:
		name, err := displayName(a.Subject, a.User)
		if err != nil {
			name = personName{} // unsigned text that came by way of the browser: a name is not worth a sign-in
		}
		i.Provider, i.Issuer, i.Subject = a.Subject.Provider, a.Subject.Issuer, a.Subject.Subject
		i.Email, i.EmailVerified, i.Name, i.ProvedEmail = a.Subject.Email, a.Subject.EmailVerified, name.whole, a.Subject.ProvedEmail
		w.NewProfile = firstProfile(a.Subject, name)
		w.Join = joining(a.Subject)
		if err := s.keepGrant(w, a); err != nil {
			return err
		}
	case a.Passkey != nil:
		i.Provider, i.Issuer = "passkey", domain.PasskeyIssuer
		i.Subject = base64.RawURLEncoding.EncodeToString(a.Passkey.CredentialID)
		w.Passkey = &store.PasskeyUse{
			CredentialID: a.Passkey.CredentialID, SignCount: a.Passkey.SignCount, Record: a.Passkey.Record, LastUsedAt: a.Now,
		}
	case a.Made != nil:
		i.Provider, i.Issuer, i.Subject = "passkey", domain.PasskeyIssuer, base64.RawURLEncoding.EncodeToString(a.Made)
	default:
		i.Provider, i.Issuer, i.Subject = "email", domain.EmailIssuer, a.Email
		i.Email, i.EmailVerified, i.ProvedEmail = a.Email, true, a.Email
		w.Join = store.EmailJoin{Address: a.Email, Vouched: neverRecycled(a.Email)}
	}
	w.NewIdentity = i
	return nil
}

// joining lets somebody a provider vouches for join the account that proved the very same address with a code (DESIGN
// section 4, decision 8).
func joining(who *upstream.Subject) store.EmailJoin { return store.EmailJoin{Address: who.ProvedEmail} }

// neverRecycled tells whether an address is never given to another person. Only then may whoever reads its mail now join
// the account a provider once vouched for it: in a company's domain it may have been somebody else's (decision 8).
func neverRecycled(address string) bool {
	return strings.HasSuffix(address, "@gmail.com") || strings.HasSuffix(address, "@googlemail.com")
}

// keepGrant seals what Apple gave, to revoke it when the identity goes.
func (s *Service) keepGrant(w *store.BrowserSignIn, a Arrival) error {
	if a.RefreshToken == "" {
		return nil
	}
	aad := "flows/" + a.Flow.ID.String() + "/grant"
	sealed, err := s.Keys.Seal(aad, []byte(a.RefreshToken))
	if err != nil {
		return oauth.Unavailable(err)
	}
	w.Grant = &store.UpstreamGrant{ClientID: a.ProviderClient, AAD: aad, Sealed: sealed}
	return nil
}

func cookieOf(id domain.BrowserID, secret []byte) string {
	return id.String() + "." + base64.RawURLEncoding.EncodeToString(secret)
}

// Browser reads who is signed in, by the cookie of single sign-on; nil: nobody. What is planted, old or foreign is nobody
// (ATTACKS SE02).
func (s *Service) Browser(ctx context.Context, cookie string) (*domain.BrowserView, error) {
	v, signedIn, err := s.Known(ctx, cookie)
	if err != nil || !signedIn {
		return nil, err
	}
	return v, nil
}

// Known reads whose browser this is or was, unless it was signed out; nil: nobody's. Its time may be over, its identity
// gone, and its cookie the one before, if the answer with the next was lost: signedIn is false then. Such a browser is known
// for two things only, to sign it out with the sessions that hang on it (RP-Initiated Logout 1.0 §2) and to take its row over
// when the same person proves anew who they are. It must never count as signed in, nor be told whose it is.
func (s *Service) Known(ctx context.Context, cookie string) (v *domain.BrowserView, signedIn bool, err error) {
	id, secret, ok := readCookie(cookie)
	if !ok {
		return nil, false, nil
	}
	v, err = s.DB.Browser(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, oauth.Unavailable(err)
	}
	hash := sha256.Sum256(secret)
	current := subtle.ConstantTimeCompare(hash[:], v.SecretHash[:]) == 1
	previous := subtle.ConstantTimeCompare(hash[:], v.PreviousHash[:]) == 1 // no secret hashes to zero
	if !v.EndedAt.IsZero() || (!current && !previous) {
		return nil, false, nil
	}
	return v, current && v.Live(s.DB.Now()), nil
}

func readCookie(cookie string) (id domain.BrowserID, secret []byte, ok bool) {
	first, second, found := strings.Cut(cookie, ".")
	secret, err := base64.RawURLEncoding.Strict().DecodeString(second)
	ok = found && err == nil && len(secret) == secretLen && id.UnmarshalText([]byte(first)) == nil && !id.IsZero()
	return id, secret, ok
}

// Seen extends a browser's idle time; not more often than hourly.
func (s *Service) Seen(ctx context.Context, now time.Time, b *domain.Browser) error {
	if now.Sub(b.SeenAt) < seenEvery {
		return nil
	}
	if err := s.DB.TouchBrowser(ctx, b.ID, now, now.Add(browserIdle)); err != nil {
		return oauth.Unavailable(err)
	}
	return nil
}

// Called is what a person knows their account by: the name or address of the identity that signed in, or of another. It
// is for a page only; an empty answer does no harm.
func (s *Service) Called(ctx context.Context, acc domain.AccountID, id domain.IdentityID) string {
	list, err := s.DB.Identities(ctx, acc)
	if err != nil {
		return ""
	}
	best := ""
	for _, i := range list {
		name := i.Email
		if name == "" {
			name = i.Name
		}
		if name != "" && (best == "" || i.ID == id) {
			best = name
		}
	}
	return best
}
