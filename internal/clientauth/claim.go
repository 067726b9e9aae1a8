package clientauth

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// claim is who the caller says it is and by which method it wants to prove it.
type claim struct {
	id     string
	secret string // or the assertion
	method domain.AuthMethod
}

// read finds the one method a request uses (RFC 6749 §2.3: never more than one).
func read(c Credentials) (claim, error) {
	methods := len(c.Authorization)
	if c.HasSecret {
		methods++
	}
	if c.asserts() {
		methods++
	}
	switch {
	case methods > 1:
		return claim{}, oauth.E(oauth.InvalidRequest, "The request authenticates the client more than once. Use one method only.")
	case c.asserts():
		return readAssertion(c)
	case len(c.Authorization) == 1:
		return readBasic(c)
	case c.ClientID == "":
		return claim{}, oauth.E(oauth.InvalidClient, "The request does not say which client sends it: client_id is missing.")
	case c.HasSecret:
		return claim{c.ClientID, c.ClientSecret, domain.AuthSecretPost}, nil
	}
	return claim{id: c.ClientID, method: domain.AuthNone}, nil
}

func readBasic(c Credentials) (claim, error) {
	id, secret, err := parseBasic(c.Authorization[0])
	if err != nil {
		return claim{}, oauth.UnknownClient(err)
	}
	if c.ClientID != "" && c.ClientID != id {
		return claim{}, oauth.E(oauth.InvalidRequest, "client_id in the body is not the one in the Authorization header.")
	}
	return claim{id, secret, domain.AuthSecretBasic}, nil
}

var (
	errNotBasic  = errors.New("the Authorization header is not of the Basic scheme")
	errMalformed = errors.New("malformed Basic credentials")
)

// parseBasic reads RFC 7617 credentials whose two parts are form-encoded (RFC 6749 §2.3.1), decoding each once.
func parseBasic(header string) (id, secret string, err error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", errNotBasic
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", "", errMalformed
	}
	rawID, rawSecret, ok := strings.Cut(string(raw), ":")
	if !ok {
		return "", "", errMalformed
	}
	id, okID := formDecode(rawID)
	secret, okSecret := formDecode(rawSecret)
	if !okID || !okSecret || id == "" {
		return "", "", errMalformed
	}
	return id, secret, nil
}

// formDecode refuses what is no VSCHAR after decoding (RFC 6749 appendix A.1, A.2).
func formDecode(s string) (string, bool) {
	decoded, err := url.QueryUnescape(s)
	if err != nil {
		return "", false
	}
	for i := range len(decoded) {
		if decoded[i] < 0x20 || decoded[i] > 0x7e {
			return "", false
		}
	}
	return decoded, true
}
