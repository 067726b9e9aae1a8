package standin

import (
	"context"
	"sync"
	"time"
)

// process is the memory of a running app: what dies with it (C15).
type process struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	nonces   map[string]string // newest DPoP nonce per origin (C6)
	access   map[string]held   // access token per resource; "" is the default one (C25)
	obtained map[string]int    // how many access tokens per resource so far
}

// held is an access token and when it dies, on the clock that only runs forward (C7).
type held struct {
	tokens Tokens
	diesAt time.Time
}

func startProcess() *process {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &process{
		ctx: ctx, cancel: cancel, nonces: map[string]string{}, access: map[string]held{}, obtained: map[string]int{},
	}
}

func (m *process) dead() bool { return m.ctx.Err() != nil }

// orKilled is the error of a step that failed: whatever a dead process saw, it saw because it was killed.
func (m *process) orKilled(err error) error {
	if m.dead() {
		return ErrKilled
	}
	return err
}

func (m *process) nonce(origin string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nonces[origin]
}

func (m *process) keepNonce(origin, nonce string) {
	if nonce == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nonces[origin] = nonce
}

// minimumLife is what an access token must have left to be used (C17).
const minimumLife = 30 * time.Second

func (m *process) accessToken(resource string, now time.Time) (Tokens, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.access[resource]
	return h.tokens, ok && h.diesAt.Sub(now) >= minimumLife
}

func (m *process) keepAccessToken(resource string, t Tokens, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.access[resource] = held{tokens: t, diesAt: now.Add(time.Duration(t.ExpiresIn) * time.Second)}
	m.obtained[resource]++
}

func (m *process) times(resource string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.obtained[resource]
}

// forgetAccessToken forgets one token; one that has been replaced meanwhile stays.
func (m *process) forgetAccessToken(resource, token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.access[resource].tokens.AccessToken == token {
		delete(m.access, resource)
	}
}

func (m *process) forgetAccessTokens() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.access)
}
