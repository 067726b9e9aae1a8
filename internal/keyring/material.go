package keyring

import (
	"crypto"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

// Purpose separates the keys derived from one data key (HKDF-SHA256 info).
type Purpose string

// The purposes.
const (
	RefreshMAC   Purpose = "refresh-mac"
	SessionStart Purpose = "session-start"
	SignInNonce  Purpose = "sign-in-nonce"
	DPoPNonce    Purpose = "dpop-nonce"
	Fingerprint  Purpose = "request-fingerprint"
	APIKeyPepper Purpose = "api-key-pepper"
	Cursor       Purpose = "cursor"
	Sealing      Purpose = "sealing"
	KnownBrowser Purpose = "known-browser"
	Pairwise     Purpose = "pairwise-subject" // of the first data key alone, see First
)

var purposes = []Purpose{RefreshMAC, SessionStart, SignInNonce, DPoPNonce, Fingerprint, APIKeyPepper, Cursor, Sealing, KnownBrowser, Pairwise}

// lasting tells whether what was made for the purpose has no end of its own: a sealed provider token and an API
// key stay in their rows for years, so their key is never too old.
func (p Purpose) lasting() bool { return p == Sealing || p == APIKeyPepper }

// kind is a series of keys that follow one another.
type kind struct {
	use     domain.KeyUse
	alg     string
	residue uint32
}

// idStep keeps the kinds apart: ids of one kind are equal modulo idStep. So two nodes that make keys of different
// kinds in one second never want the same id, and an id is known before its row is sealed for it.
const idStep = 4

var (
	dataKind  = kind{domain.KeyUseData, "HKDF-SHA256", 0}
	es256Kind = kind{domain.KeyUseSign, string(domain.ES256), 1}
	rs256Kind = kind{domain.KeyUseSign, string(domain.RS256), 2}
	allKinds  = []kind{dataKind, es256Kind, rs256Kind}
)

func (k kind) has(row domain.Key) bool { return row.Use == k.use && row.Alg == k.alg }

// firstID returns the lowest id of the kind that is at least low.
func (k kind) firstID(low uint32) uint32 {
	return low + (k.residue+idStep-low%idStep)%idStep
}

// kidOf is the `kid` of a signing key: its id in base 36, then the algorithm ("tdk3q1-es256"). The id in it tells
// how old a key is that a node does not know.
func kidOf(id uint32, alg string) string {
	return strconv.FormatUint(uint64(id), 36) + "-" + strings.ToLower(alg)
}

// parseKid reads kidOf's text and nothing else.
func parseKid(kid string) (id uint32, ok bool) {
	number, _, found := strings.Cut(kid, "-")
	n, err := strconv.ParseUint(number, 36, 32)
	if !found || err != nil {
		return 0, false
	}
	for _, a := range []domain.SigningAlg{domain.ES256, domain.RS256} {
		if kidOf(uint32(n), string(a)) == kid {
			return uint32(n), true
		}
	}
	return 0, false
}

// dataKey is an opened data key with everything derived from it.
type dataKey struct {
	row     domain.Key
	derived map[Purpose][]byte
	sealing cipher.AEAD
}

// signingKey is an opened signing key.
type signingKey struct {
	row    domain.Key
	signer *jose.Signer
}

func rowAAD(id uint32) string { return fmt.Sprintf("keys/%d", id) }

// material is a new key before it has an id.
type material struct {
	secret []byte // what is sealed
	public crypto.PublicKey
}

// generate draws a key of the kind. For RSA this takes a tenth of a second.
func (k kind) generate() (material, error) {
	if k.use == domain.KeyUseData {
		return material{secret: randomBytes(masterLen)}, nil
	}
	private, err := jose.GenerateKey(jose.Alg(k.alg))
	if err != nil {
		return material{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	return material{secret: secret, public: private.Public()}, err
}

// seal writes the material into the row, whose id is decided.
func (m material) seal(row *domain.Key, master *Master) error {
	row.Sealed = master.wrap(rowAAD(row.ID), m.secret)
	if row.Use == domain.KeyUseData {
		return nil
	}
	jwk := jose.PublicKey{Key: m.public, Kid: kidOf(row.ID, row.Alg), Alg: jose.Alg(row.Alg), Use: "sig"}
	var err error
	row.Public, err = json.Marshal(&jwk)
	return err
}

func openDataKey(row domain.Key, master *Master) (*dataKey, error) {
	secret, err := master.unwrap(rowAAD(row.ID), row.Sealed)
	if err != nil {
		return nil, err
	}
	k := &dataKey{row: row, derived: make(map[Purpose][]byte, len(purposes))}
	for _, p := range purposes {
		k.derived[p], err = hkdf.Key(sha256.New, secret, nil, "countersign/"+string(p), masterLen)
		if err != nil {
			return nil, err
		}
	}
	k.sealing, err = newAEAD(k.derived[Sealing])
	return k, err
}

func openSigningKey(row domain.Key, master *Master) (*signingKey, error) {
	secret, err := master.unwrap(rowAAD(row.ID), row.Sealed)
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(secret)
	if err != nil {
		return nil, errors.New("the sealed bytes are no private key")
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, errors.New("the sealed key cannot sign")
	}
	s, err := jose.NewSigner(jose.Alg(row.Alg), kidOf(row.ID, row.Alg), signer)
	if err != nil {
		return nil, err
	}
	return &signingKey{row: row, signer: s}, nil
}

// keyName is what the audit trail calls a key.
func keyName(row domain.Key) string {
	if row.Use == domain.KeyUseSign {
		return kidOf(row.ID, row.Alg)
	}
	return fmt.Sprintf("data %d", row.ID)
}
