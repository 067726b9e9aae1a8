package faults_test

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
)

// token is what a judge reads from the text of a refresh token, by the layout DESIGN section 3 gives it and without
// the server's code.
type token struct {
	session domain.SessionID
	counter int
	keyID   uint32
}

func parse(text string) (t token, ok bool) {
	const prefix, sum = "cs_rt_", 6
	if !strings.HasPrefix(text, prefix) || len(text) <= len(prefix)+sum {
		return t, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[len(prefix) : len(text)-sum])
	if err != nil || len(raw) != 57 {
		return t, false
	}
	t.keyID = binary.BigEndian.Uint32(raw[1:])
	copy(t.session[:], raw[5:])
	t.counter = int(binary.BigEndian.Uint32(raw[21:]))
	return t, true
}

// call is one request of a phone to the server and what came of it.
type call struct {
	phone     string
	act       standin.Act
	presented string // the refresh token
	received  string
	sent      time.Time
	heard     time.Time // zero: no answer came, or not yet
	status    int
	code      string
}

// answered tells whether the phone knows what became of it.
func (c *call) answered() bool { return !c.heard.IsZero() }

// granted tells whether it brought a refresh token.
func (c *call) granted() bool { return c.answered() && c.status == 200 && c.received != "" }

// rotation tells whether it presented a refresh token.
func (c *call) rotation() bool { return c.act == standin.Refreshing && c.presented != "" }

// ending is somebody's wish that a session be over.
type ending struct {
	session domain.SessionID
	asked   time.Time
	done    time.Time // acknowledged; zero: it is not known whether it was heard
}

// theft is the use of a bearer session by somebody else.
type theft struct {
	session domain.SessionID
	refused time.Time // when he was told so; zero: he was not, and it is not known what his attempts did
}

// history is everything that happened to the phones, in their own words. Safe for concurrent use.
type history struct {
	now     func() time.Time // the phones' true time
	mu      sync.Mutex
	open    map[requestName]*call
	calls   []*call
	endings []ending
	thefts  []theft
	keyless map[string]bool // phones that are bearer phones
}

type requestName struct {
	device string
	number int64
}

func newHistory(now func() time.Time) *history {
	return &history{now: now, open: map[requestName]*call{}, keyless: map[string]bool{}}
}

// watch makes a phone tell of itself.
func (h *history) watch(c *standin.PhoneConfig) {
	c.Observe = h.observe
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keyless[c.Name] = c.Bearer
}

// deviceOf leaves out which process of the app it was.
func deviceOf(phone string) string { return strings.TrimSuffix(phone, " extension") }

func (h *history) observe(e standin.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := requestName{deviceOf(e.Phone), e.Request}
	switch e.What {
	case standin.Sent:
		c := &call{phone: name.device, act: e.Act, presented: e.Presented, sent: e.At}
		h.open[name] = c
		h.calls = append(h.calls, c)
	case standin.Answered:
		c := h.open[name]
		c.heard, c.status, c.code, c.received = e.At, e.Status, e.Error, e.Received
		delete(h.open, name)
	case standin.Unheard:
		delete(h.open, name)
	case standin.Waiting, standin.Stored, standin.SignedOff:
	}
}

// end notes a sign-out. acknowledged is false if it is not known whether the server heard of it.
func (h *history) end(refreshToken string, asked time.Time, acknowledged bool) {
	t, ok := parse(refreshToken)
	if !ok {
		return
	}
	e := ending{session: t.session, asked: asked}
	if acknowledged {
		e.done = h.now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endings = append(h.endings, e)
}

// rob notes that a thief has used a token of a bearer session, and perhaps been told that it is no good.
func (h *history) rob(refreshToken string, refused bool) {
	t, _ := parse(refreshToken)
	th := theft{session: t.session}
	if refused {
		th.refused = h.now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.thefts = append(h.thefts, th)
}

// granted counts the refresh tokens that were handed out.
func (h *history) granted() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c.granted() {
			n++
		}
	}
	return n
}

// progressed tells which of the phones have had a refresh token granted for a request begun after a moment.
func (h *history) progressed(since time.Time) map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := map[string]time.Time{}
	for _, c := range h.calls {
		if !c.granted() || c.sent.Before(since) {
			continue
		}
		if at, ok := first[c.phone]; !ok || c.heard.Before(at) {
			first[c.phone] = c.heard
		}
	}
	return first
}

// told is a history that is over.
type told struct {
	calls    []call
	endings  []ending
	thefts   []theft
	keyless  map[string]bool
	sessions map[domain.SessionID][]call // rotations and sign-ins
}

// tell ends the history.
func (h *history) tell() *told {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &told{endings: h.endings, thefts: h.thefts, keyless: h.keyless, sessions: map[domain.SessionID][]call{}}
	for _, c := range h.calls {
		s.add(*c)
	}
	return s
}

func (s *told) add(c call) {
	s.calls = append(s.calls, c)
	text := c.presented
	if text == "" {
		text = c.received
	}
	if t, ok := parse(text); ok && (c.rotation() || c.act == standin.SigningIn) {
		s.sessions[t.session] = append(s.sessions[t.session], c)
	}
}

// wanted tells whether somebody wanted the session to end.
func (s *told) wanted(id domain.SessionID) bool {
	for _, e := range s.endings {
		if e.session == id {
			return true
		}
	}
	return false
}

// robbed tells whether a thief was at the session.
func (s *told) robbed(id domain.SessionID) bool {
	for _, r := range s.thefts {
		if r.session == id {
			return true
		}
	}
	return false
}
