package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"
)

const defaultNonceTTL = 5 * time.Minute

// A nonce is base64url of key id (4 bytes), unix time (4 bytes), MAC (16 bytes).
const (
	nonceHead  = 8
	nonceBytes = nonceHead + 16
)

// Nonces mints and checks nonces: a time and a MAC, nothing stored, shared by all nodes that share the keys.
type Nonces struct {
	Key     func(id uint32) ([]byte, bool) // by key id
	Current func() uint32
	TTL     time.Duration // zero: 5 min

	last atomic.Pointer[minted]
}

// minted is the newest nonce: every answer carries one, and within a second they are all the same.
type minted struct {
	head [nonceHead]byte
	text string
}

// Mint returns a nonce for now. Nonces of one second and key are the same string. Without a current key it returns
// the empty string: the answer then carries no nonce, and proofs are judged by their iat.
func (n *Nonces) Mint(now time.Time) string {
	id := n.Current()
	key, ok := n.Key(id)
	if !ok {
		return ""
	}
	var head [nonceHead]byte
	binary.BigEndian.PutUint32(head[:], id)
	binary.BigEndian.PutUint32(head[4:], uint32(now.Unix())) // until the year 2106
	if last := n.last.Load(); last != nil && last.head == head {
		return last.text
	}
	text := base64.RawURLEncoding.EncodeToString(append(head[:], nonceMAC(key, head[:])...))
	n.last.Store(&minted{head: head, text: text})
	return text
}

func nonceMAC(key, head []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(head)
	return mac.Sum(nil)[:nonceBytes-nonceHead]
}

// NonceState is what a nonce turned out to be.
type NonceState int

// The states.
const (
	NonceForged NonceState = iota
	NonceOld               // ours, older than TTL
	NonceFresh
)

// Check judges a nonce.
func (n *Nonces) Check(nonce string, now time.Time) NonceState {
	state, _ := n.judge(nonce, now)
	return state
}

// judge also tells until when a nonce of ours is fresh.
func (n *Nonces) judge(nonce string, now time.Time) (state NonceState, until time.Time) {
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceBytes) || strings.ContainsAny(nonce, "\r\n") {
		return NonceForged, until
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil {
		return NonceForged, until
	}
	head, mac := data[:nonceHead], data[nonceHead:]
	key, ok := n.Key(binary.BigEndian.Uint32(head))
	if !ok || !hmac.Equal(mac, nonceMAC(key, head)) {
		return NonceForged, until
	}
	ttl := n.TTL
	if ttl == 0 {
		ttl = defaultNonceTTL
	}
	until = time.Unix(int64(binary.BigEndian.Uint32(head[4:])), 0).Add(ttl)
	if now.After(until) {
		return NonceOld, until
	}
	return NonceFresh, until
}
