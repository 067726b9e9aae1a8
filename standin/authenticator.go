package standin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Authenticator is a person's passkeys and the browser in front of them: it takes the options a server sends to
// navigator.credentials and answers with what the browser would send back (WebAuthn Level 3 §5.1, §6.3), signed by
// real keys. Every passkey is discoverable, and the person always agrees and is verified, unless [Authenticator.Behave]
// says otherwise.
//
// Its methods may be called from several goroutines.
type Authenticator struct {
	alg    PasskeyAlg
	synced bool

	mu    sync.Mutex
	flaws Flaws
	keys  []*passkey
}

// ErrNoPasskey is what a browser reports as NotAllowedError: there is no passkey that fits, or, on registration,
// there is one already.
var ErrNoPasskey = errors.New("no passkey fits, or one is there already")

// An AuthenticatorOption changes how an authenticator is made.
type AuthenticatorOption func(*Authenticator)

// WithPasskeyAlg sets the algorithm of the passkeys it makes; the default is PasskeyES256.
func WithPasskeyAlg(alg PasskeyAlg) AuthenticatorOption {
	return func(a *Authenticator) { a.alg = alg }
}

// WithSyncedPasskeys makes it like a phone whose passkeys are in a cloud: they are backed up, and nothing is counted.
// The default is like a security key: nothing is backed up, and every signature is counted.
func WithSyncedPasskeys() AuthenticatorOption { return func(a *Authenticator) { a.synced = true } }

// NewAuthenticator makes an authenticator without passkeys.
func NewAuthenticator(options ...AuthenticatorOption) *Authenticator {
	a := &Authenticator{alg: PasskeyES256}
	for _, option := range options {
		option(a)
	}
	return a
}

// Flaws are what an authenticator, or the browser before it, does wrong. The zero value is a good one. A server must
// refuse every answer these make, but for three: SelfAttested it may accept, Alg it may have offered, and CounterBack it
// must notice, at the latest in its store.
type Flaws struct {
	WithoutUserVerification bool       // leave the UV flag out
	WithoutUserPresence     bool       // leave the UP flag out
	Origin                  string     // claim to be at this origin
	RPID                    string     // answer for this RP id
	Type                    string     // claim this ceremony, such as "webauthn.get" for a registration
	Challenge               string     // answer this challenge, base64url
	CrossOrigin             bool       // claim to be on an embedded page
	TopOrigin               string     // claim to be embedded in this origin
	UserHandle              []byte     // sign in with this user handle
	WithoutUserHandle       bool       // sign in without a user handle
	CounterBack             uint32     // set every counter back by this much before it is used
	BadSignature            bool       // flip a bit of the signature
	Alg                     PasskeyAlg // make a passkey of this algorithm, whatever was offered
	SelfAttested            bool       // let the passkey sign its own registration; allowed, and told of nothing
}

// Behave sets the flaws from the next call on.
func (a *Authenticator) Behave(f Flaws) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flaws = f
}

// Passkeys returns the ids of the passkeys it holds, the oldest first.
func (a *Authenticator) Passkeys() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([][]byte, len(a.keys))
	for i, k := range a.keys {
		ids[i] = slices.Clone(k.id)
	}
	return ids
}

// Forget drops a passkey, as when a person deletes it in the settings of the phone.
func (a *Authenticator) Forget(id []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys = slices.DeleteFunc(a.keys, func(k *passkey) bool { return bytes.Equal(k.id, id) })
}

// b64 is bytes as WebAuthn's JSON has them: base64url without padding.
type b64 []byte

// MarshalText implements encoding.TextMarshaler.
func (b b64) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *b64) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

type descriptor struct {
	Type string `json:"type"`
	ID   b64    `json:"id"`
}

// readOptions reads the value of `publicKey`, or the object around it.
func readOptions(raw []byte, into any) error {
	var around struct {
		PublicKey json.RawMessage `json:"publicKey"`
	}
	if err := json.Unmarshal(raw, &around); err != nil {
		return fmt.Errorf("stand-in authenticator: options: %w", err)
	}
	if around.PublicKey != nil {
		raw = around.PublicKey
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("stand-in authenticator: options: %w", err)
	}
	return nil
}

// page is where the browser is, and what it will say of that.
type page struct {
	rpID       string
	clientData []byte
}

// visit does the browser's part of §5.1.3 and §5.1.4: is this page allowed to use that RP id, and what is signed of it.
func (a *Authenticator) visit(kind, rpID, origin string, challenge b64) (page, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin {
		return page{}, fmt.Errorf("stand-in authenticator: %q is no origin", origin)
	}
	host := u.Hostname()
	if u.Scheme != "https" && host != "localhost" && !strings.HasSuffix(host, ".localhost") {
		return page{}, fmt.Errorf("stand-in authenticator: browsers have no passkeys at %q: SecurityError", origin)
	}
	if rpID == "" {
		rpID = host
	}
	if host != rpID && !strings.HasSuffix(host, "."+rpID) {
		return page{}, fmt.Errorf("stand-in authenticator: %q may not use the RP id %q: SecurityError", origin, rpID)
	}
	f := a.flaws
	data, err := json.Marshal(struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
		TopOrigin   string `json:"topOrigin,omitempty"`
	}{
		or(f.Type, kind), or(f.Challenge, base64.RawURLEncoding.EncodeToString(challenge)), or(f.Origin, origin),
		f.CrossOrigin, f.TopOrigin,
	})
	if err != nil {
		return page{}, fmt.Errorf("stand-in authenticator: %w", err)
	}
	return page{rpID: or(f.RPID, rpID), clientData: data}, nil
}

func or(flaw, good string) string {
	if flaw != "" {
		return flaw
	}
	return good
}

// flags are those of authenticator data (§6.1).
const (
	flagPresent  = 0x01
	flagVerified = 0x04
	flagEligible = 0x08
	flagBackedUp = 0x10
	flagAttested = 0x40
)

func (a *Authenticator) flags() byte {
	flags := byte(flagPresent | flagVerified)
	if a.flaws.WithoutUserPresence {
		flags &^= flagPresent
	}
	if a.flaws.WithoutUserVerification {
		flags &^= flagVerified
	}
	if a.synced {
		flags |= flagEligible | flagBackedUp
	}
	return flags
}

func (a *Authenticator) counted(k *passkey) uint32 {
	if a.synced {
		return 0
	}
	k.count = k.count + 1 - min(a.flaws.CounterBack, k.count)
	return k.count
}

func hashed(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
