package flow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
	"github.com/countersign/countersign/internal/store"
)

// The user code of RFC 8628 §6.1: eight of twenty consonants, so that it spells no word and nobody mistakes a zero for
// an O. That is 34 bits, which the limits on guessing make enough.
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLen     = 8
	devicePrefix    = "cs_dc_"
	userCodesPer    = 20 // guesses an hour from one address (ATTACKS DV01)
	pollEvery       = 5 * time.Second
	pollJitter      = time.Second // a device that keeps to the interval is not slowed down because one poll was quicker on its way
)

// DevicePath is where a person types the code.
const DevicePath = "/device"

// DeviceAnswer is RFC 8628 §3.2.
type DeviceAnswer struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	Complete        string `json:"verification_uri_complete"`
	ExpiresIn       int64  `json:"expires_in"`
	Interval        int64  `json:"interval"`
}

// DeviceRequest is what a device asks for; its client is authenticated.
type DeviceRequest struct {
	Client   *domain.Client
	Scope    string
	Resource []string
	Details  string // authorization_details (RFC 9396 §3)
	IP       string // for the limit
}

// StartDevice begins a device's trip (RFC 8628 §3.1).
func (s *Service) StartDevice(ctx context.Context, r DeviceRequest) (*DeviceAnswer, error) {
	if !r.Client.DeviceGrant {
		return nil, oauth.E(oauth.UnauthorizedClient, "This client may not use the device grant: device_grant is not set for it.")
	}
	granted, err := offer.Of(s.Catalog(), r.Client, s.Issuer).Grant(offer.Wish{Scope: r.Scope, Resources: r.Resource, Details: r.Details})
	if err != nil {
		return nil, err
	}
	if err := s.SignIn.Live(ctx, r.Client); err != nil {
		return nil, err
	}
	now, code := s.DB.Now(), devicePrefix+newSecret()
	if err := s.mayBegin(r.IP, now); err != nil {
		return nil, err
	}
	const tries = 5 // of two user codes that are one there is a chance of 1 in a million with 25,000 waiting
	for range tries {
		userCode := newUserCode()
		err = s.DB.StartFlow(ctx, domain.Flow{
			ID: domain.NewID[domain.FlowID](), Kind: domain.FlowDevice, State: domain.FlowOpen,
			Request:   domain.AuthRequest{ClientID: r.Client.ID, Scope: granted.Scope, Resources: granted.Resources, Details: granted.Details},
			CreatedAt: now, ExpiresAt: now.Add(DeviceTTL), CodeHash: hashed(code), UserCode: userCode, Interval: pollEvery - pollJitter,
		})
		switch {
		case err == nil:
			return s.deviceAnswer(code, userCode), nil
		case !errors.Is(err, store.ErrTaken):
			return nil, oauth.Unavailable(err)
		}
	}
	return nil, oauth.Unavailable(fmt.Errorf("start a device's flow: %w", err))
}

func (s *Service) deviceAnswer(code, userCode string) *DeviceAnswer {
	spoken := SpokenUserCode(userCode)
	return &DeviceAnswer{
		DeviceCode: code, UserCode: spoken, VerificationURI: s.Issuer + DevicePath,
		Complete: s.Issuer + DevicePath + "?user_code=" + spoken, ExpiresIn: int64(DeviceTTL.Seconds()), Interval: int64(pollEvery.Seconds()),
	}
}

func newUserCode() string {
	var b strings.Builder
	for range userCodeLen {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(userCodeLetters)))) // never fails since Go 1.24
		b.WriteByte(userCodeLetters[n.Int64()])
	}
	return b.String()
}

// SpokenUserCode is a code as people read it: WDJB-MJHT.
func SpokenUserCode(code string) string {
	if len(code) != userCodeLen {
		return code
	}
	return code[:userCodeLen/2] + "-" + code[userCodeLen/2:]
}

// readUserCode takes what a person typed: any case, any spaces and dashes.
func readUserCode(typed string) (string, bool) {
	code := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, strings.ToUpper(typed))
	return code, len(code) == userCodeLen && strings.Trim(code, userCodeLetters) == ""
}

// EnterUserCode takes a code a person typed, or opened from the device's link and confirmed. The trip is this browser's
// from now on. Wrong codes are counted for the address, by all nodes together (ATTACKS DV01).
func (s *Service) EnterUserCode(ctx context.Context, typed string, v Visitor) (*Outcome, error) {
	now := s.DB.Now()
	unknown := &Outcome{Problem: &Problem{Shown: Shown{Notice: NoticeUserCode}}}
	code, ok := readUserCode(typed)
	if !ok {
		return unknown, nil
	}
	key, most := tallyKey("user_code", v.IP), int64(orDefault(s.GuessesPerHour, userCodesPer))
	mayGuess, err := s.guess(ctx, now, key, most)
	if err != nil {
		return nil, err
	}
	if !mayGuess {
		e := oauth.E(oauth.TooManyRequests, "Too many codes that are not known came from here. Try again in an hour.")
		e.RetryAfter = time.Hour
		return nil, e
	}
	flow, err := s.DB.FlowByUserCode(ctx, code)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return nil, oauth.Unavailable(err)
	}
	var t *trip
	if !missing {
		if t, err = s.trip(ctx, *flow, v); err != nil {
			return nil, err
		}
	}
	if missing || flow.Expired(now) || flow.State >= domain.FlowGranted || t.client == nil {
		event.Add(ctx, "device", "unknown user code")
		return unknown, nil
	}
	if err := s.DB.Untally(ctx, key); err != nil {
		return nil, oauth.Unavailable(err)
	}
	return s.claim(ctx, t)
}

// claim binds a device's trip to the browser in which its code was typed. A second browser finds it taken, unless it is
// the same one again.
func (s *Service) claim(ctx context.Context, t *trip) (*Outcome, error) {
	switch t.flow.Visitor {
	case hashed(t.visitor.Secret(t.flow.ID)):
		return t.again(), nil
	case [32]byte{}:
		t.bind()
	default:
		return foreign(), nil
	}
	if s.offersPasskeys(t) {
		if err := s.freshChallenge(t); err != nil {
			return nil, err
		}
	}
	took, err := s.step(ctx, t)
	if err != nil {
		return nil, err
	}
	if !took {
		return foreign(), nil
	}
	return t.again(), nil
}
