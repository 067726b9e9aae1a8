package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// Purpose says what a nonce was asked for; a nonce for one is refused for another.
type Purpose string

// The purposes.
const (
	PurposeSignIn Purpose = "sign_in"
	PurposeLink   Purpose = "link"
	PurposeReauth Purpose = "reauth"
)

// purposes in the order of their two bits in a nonce.
var purposes = [...]Purpose{PurposeSignIn, PurposeLink, PurposeReauth}

// NonceTTL is how long a challenge may be used.
const NonceTTL = 10 * time.Minute

// A nonce is base64url of: version 1 B | flags 1 B | key id 4 B | unix time 4 B | random 16 B | MAC 16 B. The MAC
// covers all before it, the client, the key and the purpose, so nothing need be stored until it is consumed.
const (
	nonceVersion = 1
	nonceBound   = 1 << 0 // flags: it was asked for with a key
	nonceKind    = 1      // flags: shift of the two purpose bits
	nonceBody    = 1 + 1 + 4 + 4 + 16
	nonceMAC     = 16

	// clockSlack is how far another node's clock may be ahead of ours.
	clockSlack = time.Minute
)

// challenge is a nonce taken apart. Only its MAC says whether it is ours.
type challenge struct {
	purpose  Purpose
	bound    bool
	keyID    uint32
	mintedAt time.Time
	body     [nonceBody]byte
	mac      [nonceMAC]byte
}

// Challenge mints a nonce for the client and, if given, the key. Nothing is stored. The error is an *oauth.Error.
func (s *Service) Challenge(now time.Time, clientID, jkt string, p Purpose) (string, error) {
	kind := purposeBits(p)
	if kind < 0 {
		return "", oauth.E(oauth.InvalidRequest, "purpose must be sign_in, link or reauth; leave it out to sign in.")
	}
	if jkt != "" && !oauth.ValidThumbprint(jkt) {
		return "", oauth.E(oauth.InvalidRequest,
			"dpop_jkt must be the RFC 7638 SHA-256 thumbprint of the DPoP key: 43 base64url characters without padding.")
	}
	c := challenge{purpose: p, bound: jkt != "", keyID: s.Keys.Current()}
	c.body[0] = nonceVersion
	c.body[1] = byte(kind << nonceKind)
	if c.bound {
		c.body[1] |= nonceBound
	}
	binary.BigEndian.PutUint32(c.body[2:], c.keyID)
	binary.BigEndian.PutUint32(c.body[6:], uint32(now.Unix())) // good until 2106
	_, _ = rand.Read(c.body[10:])                              // never fails since Go 1.24
	key, ok := s.Keys.Key(c.keyID, keyring.SignInNonce)
	if !ok {
		return "", oauth.Unavailable(errNoKey)
	}
	c.mac = c.sum(key, clientID, jkt)
	return c.String(), nil
}

// parseChallenge takes a nonce apart, strictly: one text for one nonce.
func parseChallenge(text string) (challenge, bool) {
	var c challenge
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceBody+nonceMAC) {
		return c, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != nonceBody+nonceMAC { // the decoder skips CR and LF
		return c, false
	}
	copy(c.body[:], raw)
	copy(c.mac[:], raw[nonceBody:])
	flags := c.body[1]
	kind := int(flags >> nonceKind)
	if c.body[0] != nonceVersion || kind >= len(purposes) {
		return c, false
	}
	c.purpose = purposes[kind]
	c.bound = flags&nonceBound != 0
	c.keyID = binary.BigEndian.Uint32(c.body[2:])
	c.mintedAt = time.Unix(int64(binary.BigEndian.Uint32(c.body[6:])), 0).UTC()
	return c, true
}

func (c *challenge) String() string {
	return base64.RawURLEncoding.EncodeToString(append(c.body[:], c.mac[:]...))
}

// sum is the MAC for a client, a key and the challenge's own purpose.
func (c *challenge) sum(key []byte, clientID, jkt string) (mac [nonceMAC]byte) {
	h := hmac.New(sha256.New, key)
	h.Write(c.body[:])
	h.Write([]byte(clientID + "\x00" + jkt + "\x00" + string(c.purpose)))
	copy(mac[:], h.Sum(nil))
	return mac
}

// checkNonce judges a nonce that came with an id_token and returns the row that will consume it (ID08).
func (s *Service) checkNonce(ctx context.Context, now time.Time, by caller, text string, p Purpose) (store.Nonce, error) {
	c, err := s.openNonce(ctx, by, text, p)
	if err != nil {
		return store.Nonce{}, err
	}
	if age := now.Sub(c.mintedAt); age >= NonceTTL || age < -clockSlack {
		return store.Nonce{}, oauth.E(oauth.InvalidRequest,
			membersFor(p).nonce+" has expired. Ask POST /challenge for a new one and sign in with the provider again.")
	}
	return store.Nonce{Hash: nonceHash(text), ExpiresAt: c.mintedAt.Add(NonceTTL + clockSlack), KeyID: c.keyID}, nil
}

// nonceHash is what a nonce is remembered by once it is spent.
func nonceHash(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// openNonce takes apart a nonce of ours that this caller asked for, for this purpose, whatever its age.
func (s *Service) openNonce(ctx context.Context, by caller, text string, p Purpose) (challenge, error) {
	member := membersFor(p).nonce
	c, ok := parseChallenge(text)
	if !ok {
		return c, oauth.E(oauth.InvalidRequest, member+
			" is not one of ours. Send the nonce of POST /challenge exactly as it came, even if the provider's SDK was given its SHA-256.")
	}
	if c.purpose != p {
		return c, oauth.E(oauth.InvalidRequest, member+
			" was asked for with another purpose. Ask POST /challenge for one with purpose="+string(p)+".")
	}
	jkt := ""
	if c.bound {
		if jkt = by.JKT; jkt == "" { // TX05; a proof by another key fails the MAC
			return c, oauth.E(oauth.InvalidDPoPProof, member+
				" was asked for with a DPoP key. Send a proof by that key in the DPoP header.")
		}
	}
	key, ok, err := s.Keys.Find(ctx, c.keyID, keyring.SignInNonce)
	if err != nil {
		return c, oauth.Unavailable(err)
	}
	if !ok {
		return c, oauth.E(oauth.InvalidRequest, member+" is not one of ours. Ask POST /challenge for a new one.")
	}
	if mac := c.sum(key, by.Client.ID, jkt); !hmac.Equal(mac[:], c.mac[:]) {
		return c, oauth.E(oauth.InvalidRequest, member+
			" was issued for another client or another DPoP key. Use the client_id and the key whose dpop_jkt went to POST /challenge.")
	}
	return c, nil
}

func purposeBits(p Purpose) int {
	for i, known := range purposes {
		if p == known {
			return i
		}
	}
	return -1
}
