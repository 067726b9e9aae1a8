package standin

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Application is a client registered at the provider for sign-in with a browser.
type Application struct {
	ClientID     string
	Secret       string   // not Apple's: it wants one signed with AppleKey
	RedirectURIs []string // compared byte for byte
	// WithoutPKCE: the provider takes requests without code_challenge. One that is sent is held against the verifier
	// all the same.
	WithoutPKCE bool
}

// Register makes an application known, or replaces the one of the same id.
func (p *Provider) Register(a Application) error {
	switch {
	case a.ClientID == "" || len(a.RedirectURIs) == 0:
		return errors.New("stand-in provider: an application needs an id and a redirect URI")
	case a.Secret == "" && p.kind != Apple:
		return errors.New("stand-in provider: an application needs a secret")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.web.applications[a.ClientID] = a
	return nil
}

// AddPerson makes somebody known under their Username. What is left empty is as for people who were never added.
func (p *Provider) AddPerson(who Person) error {
	if who.Username == "" {
		return errors.New("stand-in provider: a person who signs in on a page needs a Username")
	}
	made := p.madeUp(who.Username)
	if who.Subject == "" {
		who.Subject = made.Subject
	}
	if who.Name == "" {
		who.Name, who.GivenName, who.FamilyName = made.Name, made.GivenName, made.FamilyName
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.web.people[who.Username] = who
	return nil
}

// PersonNamed returns who signs in under a user name.
func (p *Provider) PersonNamed(username string) Person {
	p.mu.Lock()
	who, known := p.web.people[username]
	p.mu.Unlock()
	if known {
		return who
	}
	return p.madeUp(username)
}

// madeUp is somebody nobody added: the same for the same name at the same kind of provider, in every run.
func (p *Provider) madeUp(username string) Person {
	if username == "" {
		username = "nobody"
	}
	sum := sha256.Sum256([]byte(string(p.kind) + "\x00" + username))
	given := strings.ToUpper(username[:1]) + username[1:]
	who := Person{
		Username: username, Subject: string(p.kind) + "-" + username, Email: username + "@example.com",
		Name: given + " Example", GivenName: given, FamilyName: "Example",
	}
	switch p.kind {
	case Google:
		who.Subject = "1" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8]), 10)
	case Apple:
		who.Subject = "000123." + hex.EncodeToString(sum[:16]) + ".0456"
	case Microsoft:
		h := hex.EncodeToString(sum[:16])
		who.Subject = h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
	case GitHub:
		who.Subject = strconv.FormatUint(uint64(binary.BigEndian.Uint32(sum[:4]))+1, 10)
	case Facebook:
		who.Subject = "1" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])>>8, 10)
	case LINE:
		who.Subject = "U" + hex.EncodeToString(sum[:16])
	case Discord:
		who.Subject = strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])>>4|1<<58, 10)
	case GitLab:
		who.Subject = strconv.FormatUint(uint64(binary.BigEndian.Uint32(sum[:4]))+1, 10)
	case OIDC:
	}
	return who
}

// Mischief is what a provider, or somebody between it and the relying party, does wrong during a sign-in with a
// browser. The zero value is an honest one.
type Mischief struct {
	Nonce    string // in the id_token instead of the nonce that was asked for
	Audience string // in the id_token instead of the client's id
	State    string // in the redirect instead of the client's
	Code     string // in the redirect instead of the right one: another client's, or one of an earlier trip
	Issuer   string // as iss in the redirect (RFC 9207) instead of the provider's own, or though it sends none
	NoIssuer bool   // no iss in the redirect
	Error    string // an error in the redirect instead of a code

	TokenStatus int           // of every answer of the token endpoint, such as 500
	TokenSlow   time.Duration // before it answers
	UserSubject string        // in the userinfo instead of the person's

	Claims    func(claims map[string]any)   // changes the id_token's claims before signing
	Forgery   Forgery                       // of the id_token's signature
	Secret    string                        // LINE: signs the id_token for the web with this instead of the channel secret
	AppKey    bool                          // LINE: signs the id_token for the web as one for an app
	User      func(answer map[string]any)   // changes what Facebook and Discord say of the person
	Discovery func(document map[string]any) // changes the discovery document
}

// Misbehave sets the mischief from the next request on.
func (p *Provider) Misbehave(m Mischief) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.web.mischief = m
}

func (p *Provider) mischief() Mischief {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.web.mischief
}
