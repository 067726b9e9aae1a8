package passkey

import (
	"encoding/base64"

	"github.com/countersign/countersign/internal/jose"
)

const maxOriginShown = 200

// checkForm reads the answer and its client data strictly, before the library does so its own way: encoding/json takes
// names in any case and the last of two. Whatever is decided by client data is decided here, letter by letter; the
// library then repeats it and checks everything that is signed.
func (v *Verifier) checkForm(response []byte, s state, member string) error {
	if len(response) > maxResponseBytes {
		return invalid("the answer has %d bytes, over %d", len(response), maxResponseBytes)
	}
	outer, err := jose.ParseObject(response)
	if err != nil {
		return verdict(err)
	}
	for _, name := range []string{"id", "rawId"} {
		if _, err := text(outer, name); err != nil {
			return err
		}
	}
	if kind, err := text(outer, "type"); err != nil || kind != "public-key" {
		return invalid("type is not public-key")
	}
	inner, ok, err := outer.Object("response")
	if err != nil || !ok {
		return invalid("response is missing")
	}
	if _, err := text(inner, member); err != nil {
		return err
	}
	encoded, err := text(inner, "clientDataJSON")
	if err != nil {
		return err
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return invalid("clientDataJSON is not base64url")
	}
	return v.checkClientData(data, s)
}

// checkClientData is §7.1 steps 7 to 11 and §7.2 steps 10 to 14 (WA02).
func (v *Verifier) checkClientData(data []byte, s state) error {
	c, err := jose.ParseObject(data)
	if err != nil {
		return invalid("client data: %v", err)
	}
	kind, err := text(c, "type")
	if err != nil {
		return err
	}
	if kind != s.Kind {
		return invalid("the answer is to another ceremony than %q", s.Kind)
	}
	challenge, err := text(c, "challenge")
	if err != nil {
		return err
	}
	if challenge != s.Challenge { // no secret: the visitor was shown it
		return invalid("the answer is to another challenge")
	}
	origin, err := text(c, "origin")
	if err != nil {
		return err
	}
	if origin != v.origin {
		return invalid("it was made at %.*q, not at %q", maxOriginShown, origin, v.origin)
	}
	return checkEmbedding(c)
}

// checkEmbedding refuses a page of ours inside somebody else's: none of ours is meant to be framed.
func checkEmbedding(c jose.Claims) error {
	if c.Has("topOrigin") {
		return invalid("it was made on an embedded page")
	}
	cross, ok, err := c.Bool("crossOrigin")
	if err != nil {
		return invalid("client data: %v", err)
	}
	if ok && cross {
		return invalid("it was made on an embedded page")
	}
	return nil
}

// text returns a member that must be there as text.
func text(c jose.Claims, name string) (string, error) {
	value, ok, err := c.String(name)
	if err != nil {
		return "", verdict(err)
	}
	if !ok || value == "" {
		return "", invalid("%s is missing", name)
	}
	return value, nil
}
