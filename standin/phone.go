package standin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/dpop"
)

// PhoneConfig is what an app is built with, and what the world around its phone is like. Issuer and ClientID are
// required.
type PhoneConfig struct {
	Name     string // in events; "phone" by default
	Issuer   string // of the authorization server, exactly; htu is built from it, whatever lies in between (C1, C5)
	ClientID string

	Scope      string   // asked for at sign-in
	Resources  []string // asked for at sign-in, the first is the default; the issuer itself for the account API
	DeviceName string   // what the person calls this device

	// Bearer is an app without a key. It gets the contract's weaker promise (C32 to C34).
	Bearer bool

	HTTPClient *http.Client  // how the phone reaches the world, such as Network.Client; nil: directly
	Patience   time.Duration // how long a call goes on retrying until ErrUnreachable; zero: a minute
	Timeout    time.Duration // for one request (C3); zero: 15 s

	Now   func() time.Time                           // the true time; nil: time.Now. See SetClock
	Pause func(context.Context, time.Duration) error // waits between retries; nil: really waits

	// Observe is told of everything the phone does, by whichever goroutine does it, often under the refresh lock: it may
	// kill the phone and look at it, and must not make it send.
	Observe func(Event)
}

const defaultPatience = time.Minute

// The ways a call can end without an answer to return.
var (
	// ErrSignedOut: there is no session on this phone, or the server has just said that it is over (C22).
	ErrSignedOut = errors.New("signed out")
	// ErrSignedIn: a sign-in was asked for on a phone that is signed in.
	ErrSignedIn = errors.New("already signed in; sign out first")
	// ErrUnreachable: patience or the context ended before there was an answer that decides anything. Nothing is
	// lost; call again.
	ErrUnreachable = errors.New("no answer")
	// ErrKilled: the process is dead, or died during the call.
	ErrKilled = errors.New("the app was killed")
	// ErrDiskFull: storage took nothing (C16).
	ErrDiskFull = errors.New("the phone's storage is full")
	// ErrNothingPending: there is no unfinished sign-in to resume.
	ErrNothingPending = errors.New("no sign-in is pending")
)

// Refused is an answer that is a mistake in the app, in its registration or in what the person asked for; the
// session stays as it was (C23).
type Refused struct{ Answer *Answer }

func (r *Refused) Error() string {
	return strings.TrimSpace(fmt.Sprintf("refused: %d %s %s", r.Answer.Status, r.Answer.Error, r.Answer.Description))
}

// Phone is one process of an app on a device. Its storage, key and clock outlive it: after Kill and Start it goes on
// as a real app would. Extension is a second process of the same app.
//
// Its methods may be called from several goroutines, as those of an app are.
type Phone struct {
	config PhoneConfig
	device *device

	mu      sync.Mutex
	process *process // nil while dead
}

// device is what survives the death of a process, shared by all processes of the app on it.
type device struct {
	key  *dpop.Prover  // C4; nil: a bearer phone
	lock chan struct{} // C18: full while one process is at it
	disk disk

	mu       sync.Mutex
	offset   time.Duration // of the wall clock
	counted  int64
	siblings []*Phone
}

// NewPhone makes a phone on a new device and starts the app on it.
func NewPhone(c PhoneConfig) (*Phone, error) {
	if c.Issuer == "" || c.ClientID == "" || strings.HasSuffix(c.Issuer, "/") {
		return nil, errors.New("stand-in phone: Issuer (without a slash at the end) and ClientID are required")
	}
	d := &device{lock: make(chan struct{}, 1)}
	if !c.Bearer {
		key, err := dpop.NewProver()
		if err != nil {
			return nil, fmt.Errorf("stand-in phone: %w", err)
		}
		d.key = key
	}
	if c.Name == "" {
		c.Name = "phone"
	}
	return newProcess(c.completed(), d), nil
}

func (c PhoneConfig) completed() PhoneConfig {
	// A connection per request, or net/http would silently repeat some of them (C3).
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if c.HTTPClient != nil {
		*client = *c.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // C1
	c.HTTPClient = client
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Pause == nil {
		c.Pause = func(ctx context.Context, d time.Duration) error { return hold(ctx, d, nil) }
	}
	return c
}

func newProcess(c PhoneConfig, d *device) *Phone {
	p := &Phone{config: c, device: d}
	p.Start()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.siblings = append(d.siblings, p)
	return p
}

// Extension starts a second process of the same app: it shares storage, key, lock and clock, and has its own memory.
func (p *Phone) Extension() *Phone {
	c := p.config
	c.Name += " extension"
	return newProcess(c, p.device)
}

// Kill ends the process at once: its memory (access tokens, nonces) is gone and requests under way are cut.
// It may be called from Observe, to die at an exact point.
func (p *Phone) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		p.process.cancel(ErrKilled)
		p.process = nil
	}
}

// Start starts the app again after Kill. On a running app it does nothing.
func (p *Phone) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		p.process = startProcess()
	}
}

// Reboot kills all processes of the app on this device and starts them again.
func (p *Phone) Reboot() {
	p.device.mu.Lock()
	all := append([]*Phone(nil), p.device.siblings...)
	p.device.mu.Unlock()
	for _, sibling := range all {
		sibling.Kill()
	}
	for _, sibling := range all {
		sibling.Start()
	}
}

// SetClock sets how far the device's wall clock is from the true time.
func (p *Phone) SetClock(offset time.Duration) {
	p.device.mu.Lock()
	defer p.device.mu.Unlock()
	p.device.offset = offset
}

// FillDisk makes every write to storage fail, or lets them succeed again (C16).
func (p *Phone) FillDisk(full bool) { p.device.disk.fill(full) }

// JKT is the thumbprint of the phone's key; empty for a bearer phone.
func (p *Phone) JKT() string {
	if p.device.key == nil {
		return ""
	}
	return p.device.key.JKT()
}

// SignedIn tells whether there is a session in storage.
func (p *Phone) SignedIn() bool { return p.RefreshToken() != "" }

// RefreshToken is the refresh token in storage: what a thief with a copy of the device's storage gets. The key stays
// in the device.
func (p *Phone) RefreshToken() string { return p.device.disk.read().RefreshToken }

// PlantRefreshToken puts a refresh token into storage, as a restored backup does, or a thief on a device of his own.
func (p *Phone) PlantRefreshToken(token string) {
	p.device.disk.plant(token)
}

// Proof makes a DPoP proof with the phone's key and wall clock, for tests that put requests together themselves.
// Nonce and accessToken may be empty.
func (p *Phone) Proof(method, url, nonce, accessToken string) (string, error) {
	if p.device.key == nil {
		return "", errors.New("a bearer phone has no key")
	}
	return p.device.key.Proof(method, url, nonce, accessToken, p.wallClock())
}

func (p *Phone) wallClock() time.Time {
	p.device.mu.Lock()
	defer p.device.mu.Unlock()
	return p.config.Now().Add(p.device.offset)
}

// running returns the living process and a context that ends with it.
func (p *Phone) running(ctx context.Context) (*process, context.Context, context.CancelFunc, error) {
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	if process == nil {
		return nil, nil, nil, ErrKilled
	}
	joined, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(process.ctx, func() { cancel(ErrKilled) })
	return process, joined, func() { stop(); cancel(nil) }, nil
}
