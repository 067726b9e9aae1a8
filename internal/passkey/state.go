package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const stateVersion = 1

// The kinds of ceremony, as client data spells them (§5.8.1).
const (
	kindCreate = "webauthn.create"
	kindGet    = "webauthn.get"
)

// errState is for the caller, who sealed the state: whoever answers cannot have made it.
var errState = errors.New("no passkey state of ours")

// state is what a ceremony must remember between its two halves. It holds no secret, but whoever could write one could
// choose the challenge: seal it, or keep it where only the server writes.
type state struct {
	Version   int    `json:"v"`
	Kind      string `json:"kind"`
	Challenge string `json:"challenge"`
	Handle    []byte `json:"handle,omitempty"` // registration: for whom
	Expires   int64  `json:"exp"`
}

// recall reads a state of the wanted kind and refuses one that expired (WA01).
func recall(raw []byte, kind string, now time.Time) (state, error) {
	var s state
	if len(raw) > maxStateBytes {
		return s, fmt.Errorf("%w: it has %d bytes", errState, len(raw))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("%w: %w", errState, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("%w: something follows it", errState)
	}
	if s.Version != stateVersion {
		return s, fmt.Errorf("%w: version %d", errState, s.Version)
	}
	challenge, err := base64.RawURLEncoding.DecodeString(s.Challenge)
	if err != nil || len(challenge) < 16 {
		return s, fmt.Errorf("%w: its challenge is too short", errState)
	}
	if s.Kind != kind {
		return s, invalid("the ceremony begun was %q, not %q", s.Kind, kind)
	}
	if now.Unix() >= s.Expires {
		return s, invalid("the five minutes to answer are over")
	}
	return s, nil
}
