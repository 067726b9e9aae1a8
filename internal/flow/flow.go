// Package flow is the browser trip as a state machine over a stored domain.Flow: what a client asked for, who signs in
// and how, what they agree to, and the code that comes of it; and the same trip for a device without a browser. It
// decides what the browser is to be shown next and says so in an Outcome. It knows no HTML and no cookies' names, and it
// mints no token.
package flow

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/mail"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/passkey"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/upstream"
)

// Service does it. Its fields are set by app.
type Service struct {
	Issuer    string
	DB        *store.DB
	Keys      *keyring.Ring
	Catalog   func() *domain.Catalog
	Clients   *clientauth.Service
	SignIn    *signin.Service
	Tokens    *token.Service
	Providers *upstream.Set
	Passkeys  *passkey.Verifier // nil: no client has them
	Mail      *mail.Sender      // nil: no client signs in by e-mail
	Letters   Letters           // what mails say

	MailsPerHour      int // to one recipient; zero: 3
	MailsAskedPerHour int // from one network address, of browsers that are not known; zero: 30
	GuessesPerHour    int // of user codes, from one address; zero: 20
	// Trips bounds how many trips one address begins; nil lifts it. Each is a row for an hour and a half, and nobody needs
	// to be anybody to begin one (ATTACKS DS08).
	Trips *httpd.Limiter

	DPoP   *dpop.Verifier // of proofs at /par
	Replay *dpop.Replay
	Fetch  *fetch.Client // of request objects that clients keep at an address of theirs

	mailing, asking, fetching, fetchingStrange httpd.Room // at the mail server, at providers, at clients and at those nobody declared
}

// tripsPerMinute is much for one address, also where a carrier puts thousands of phones behind it: whoever is signed in
// already begins none that counts.
const tripsPerMinute = 600

// NewTripLimit makes the limit of trips begun from one address in a minute; zero: 600; negative lifts it.
func NewTripLimit(perMinute int) *httpd.Limiter {
	return httpd.NewLimiter(orDefault(perMinute, tripsPerMinute), 1<<16)
}

// mayBegin takes one from the limit of an address.
func (s *Service) mayBegin(ip string, now time.Time) error {
	if ip == "" {
		return nil
	}
	wait := s.Trips.Take(ip, now)
	if wait == 0 {
		return nil
	}
	e := oauth.E(oauth.TooManyRequests, "Too many sign-ins were begun from this address. Wait a moment and try again.")
	e.RetryAfter = wait
	return e
}

// Letters writes the mail that carries a code, in the best of the languages. It is the pages' business.
type Letters func(code string, app string, locales []string, acceptLanguage string) mail.Message

// How long things live (ATTACKS, Parameters).
const (
	TripTTL   = 30 * time.Minute
	PushTTL   = time.Minute // until the browser comes; from then on it is a trip
	CodeTTL   = time.Minute
	DeviceTTL = 10 * time.Minute
)

// Visitor is the browser as its cookies introduce it. Neither says anything until it was held against a row.
type Visitor struct {
	Secret         func(domain.FlowID) string // binds a trip to the browser that began it; empty: it has none
	SignOn         string                     // of single sign-on; empty: nobody is signed in
	Known          string                     // that an address was proved in it before; counts for limits and nothing else
	IP             string                     // for limits
	AcceptLanguage string                     // for mails
	Agent          string                     // the User-Agent header
}

// Outcome says what comes next: exactly one of the pointers and Go is set. The new cookies go with any.
type Outcome struct {
	Go       string    // where the browser goes: a path of ours, or a provider
	Response *Response // back to the client

	Login     *Login
	EmailCode *EmailCode
	Continue  *Continue
	Consent   *Consent
	Offer     *PasskeyOffer
	Device    *DeviceDone
	Problem   *Problem

	Began      domain.FlowID // a trip that is this browser's from now on, by NewVisitor
	NewVisitor string
	NewSignOn  string // the cookie of single sign-on, changed at every sign-in (ATTACKS SE01)
	NewKnown   string // for Visitor.Known from now on
	SignedOut  bool   // it is to be taken away
}

// Response is what a client is told through the browser (RFC 6749 §4.1.2).
type Response struct {
	Shown       // of the page that posts it
	RedirectURI string
	FormPost    bool
	Params      []Param // without iss, which every answer carries
	Signed      bool    // as a JWT, iss within (JARM)
	Cause       error   // of an error, for the request's event
}

// Param is one parameter of a Response.
type Param struct{ Name, Value string }

// Shown is what every page is about.
type Shown struct {
	Flow    domain.FlowID
	Client  *domain.Client
	Returns string // where the browser goes in the end, of the client's own; empty: nowhere, or not known
	Locales []string
	As      string   // the account that is signed in, which a form of the page brings back
	Targets []string // where a form of the page may lead beside us
	Notice  Notice
}

// Notice is the key of a sentence to be shown above a page; empty: none.
type Notice string

// The notices.
const (
	NoticeFailed      Notice = "notice.provider_failed"    // at the provider, or what it sent does not hold
	NoticeCancelled   Notice = "notice.provider_cancelled" // the person turned round at the provider
	NoticeUnproven    Notice = "notice.provider_unproven"
	NoticeWrongPerson Notice = "notice.other_account"
	NoticeDisabled    Notice = "notice.account_disabled"
	NoticeEmail       Notice = "notice.email_invalid"
	NoticeMail        Notice = "notice.mail_failed"
	NoticeMailLimit   Notice = "notice.too_many"
	NoticeMailNetwork Notice = "notice.too_many_here"
	NoticeCode        Notice = "notice.code_wrong"
	NoticeSent        Notice = "notice.code_sent"
	NoticeCodeOver    Notice = "notice.code_expired"
	NoticeGuessed     Notice = "notice.code_limit"
	NoticeMakeOne     Notice = "notice.passkey_wanted"
	NoticePasskey     Notice = "notice.passkey_unknown"
	NoticeUserCode    Notice = "notice.user_code_wrong"
)

// Login is the page of the ways to sign in.
type Login struct {
	Shown
	Providers      []string // names, in the client's order
	Email          bool
	Hint           string // an address to begin with
	Passkeys       bool
	PasskeyOptions []byte // for navigator.credentials.get
	Again          bool   // somebody is signed in and is to prove it anew
	As             string // they may go on as this account instead
}

// EmailCode is the page where the code from a mail is typed.
type EmailCode struct {
	Shown
	Email string
}

// Continue is the page that asks whether to go on as whoever is signed in.
type Continue struct {
	Shown
	Account string // a name or address they know themselves by
}

// Consent is the page that asks whether the client may have what it asked for.
type Consent struct {
	Shown
	Account   string
	Scope     []string
	Implied   []string // of Scope: what single claims come with; there is no leaving it out
	Resources []string
	Device    bool   // for a device: the person compares the code
	UserCode  string // as the device shows it
	Details   []Detail
}

// PasskeyOffer is the page that offers to make a passkey after another way of signing in.
type PasskeyOffer struct {
	Shown
	Options []byte
}

// DeviceDone ends a device's trip.
type DeviceDone struct {
	Shown
	Allowed bool
}

// Problem is a page that says what is wrong and offers the next sensible step.
type Problem struct {
	Shown   // Client may be nil
	Err     error
	Key     string // of the sentence people are shown; empty: that of Err's code
	Reason  Reason // empty: Err is all there is to say
	Restart string // a path that begins the same trip anew; empty: there is none
}

// Reason is what a page has to know of a problem beside the error.
type Reason string

// The reasons.
const (
	Altered Reason = "altered" // a form that is not as the page was that it should come from
	Foreign Reason = "foreign" // a browser that did not begin the trip
)

// newSecret is 256 random bits as text: of cookies and codes.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashed(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// audit starts a row of the trail with what the request is known by.
func audit(ctx context.Context, now time.Time, clientID string) domain.Event {
	e := event.From(ctx)
	return domain.Event{At: now, ClientID: clientID, RequestID: e.ID, IP: e.IP, Actor: "system"}
}
