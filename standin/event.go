package standin

import "time"

// What an event tells.
type What string

// The events of a phone.
const (
	Sent      What = "sent"       // a request is about to go out
	Answered  What = "answered"   // an answer came that counts as one (C2)
	Unheard   What = "unheard"    // no answer came (C2): the server may have acted or not
	Waiting   What = "waiting"    // before the next retry (C21)
	Stored    What = "stored"     // a refresh token is now in storage (C14, C16)
	SignedOff What = "signed out" // the refresh token was taken out of storage (C22, C30)
)

// Act is what the phone is doing.
type Act string

// The acts.
const (
	Challenging Act = "challenge"
	SigningIn   Act = "sign in"
	Refreshing  Act = "refresh"
	Calling     Act = "call" // an app server or the account API
	Revoking    Act = "revoke"
	Posting     Act = "post" // outside the contract
)

// Event is one thing a phone did. Sent and the Answered or Unheard that follows share Request, so that a history of
// calls and returns can be put together. Events carry live tokens: they are for tests, never for logs.
type Event struct {
	Phone   string
	What    What
	Act     Act
	At      time.Time // true time
	Request int64     // counts the requests of a device

	Method, URL string
	Presented   string // the refresh token in the request
	Received    string // the refresh token in the answer, or the one stored
	Status      int
	Error       string        // code of a refusal
	Cause       error         // of Unheard
	Wait        time.Duration // of Waiting
}

// tell reports an event. It is called without any lock but the refresh lock held, so that Observe may kill the phone.
func (p *Phone) tell(e Event) {
	if p.config.Observe == nil {
		return
	}
	e.Phone, e.At = p.config.Name, p.config.Now()
	p.config.Observe(e)
}

func (p *Phone) nextRequest() int64 {
	p.device.mu.Lock()
	defer p.device.mu.Unlock()
	p.device.counted++
	return p.device.counted
}
