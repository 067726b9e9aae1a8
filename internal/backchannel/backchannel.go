// Package backchannel tells clients that a session of theirs is over (OIDC Back-Channel Logout 1.0). What there is to tell
// was written down in the transaction of the ending; here it is sent, and sent again while a client does not answer. It
// ends nothing, and what a client makes of it changes nothing here: our tokens stopped when the session did.
package backchannel

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

const (
	// pollEvery bounds how long an ending waits to be told (ATTACKS SE05); each look is one read.
	pollEvery  = 500 * time.Millisecond
	sendAtMost = 5 * time.Second  // for one try
	lease      = 30 * time.Second // longer than a try with all it writes: no other node sends meanwhile
	atOnce     = 64               // tries under way on this node
	maxBackoff = time.Hour

	// strangersPerMinute is how many tries one host gets from clients that nobody answers for: any of them may name it, and
	// may end sessions of its own as it likes.
	strangersPerMinute = 60
)

// Service does it. Its fields are set by app before Run; it must not be copied afterwards.
type Service struct {
	DB     *store.DB
	Tokens *token.Service
	Client func(ctx context.Context, id string) (*domain.Client, error) // nil: there is none
	Fetch  *fetch.Client
	// Strangers posts to clients that nobody declared, who may not choose what the operator may (ATTACKS RG01); nil: Fetch.
	Strangers *fetch.Client
	// Pace bounds what clients that nobody answers for have us say to one host; nil lifts it.
	Pace *httpd.Limiter

	GaveUp func(error) // hears why a client was not told, outside of any request; nil: nobody does
	Silent func(error) // hears of a client that has not answered for a while: what it is to be told waits; nil: nobody does

	lines lines
}

// NewPace makes the limit of Service.Pace.
func NewPace() *httpd.Limiter { return httpd.NewLimiter(strangersPerMinute, 1<<12) }

// Run sends what is due until ctx ends, and then waits for the tries under way.
func (s *Service) Run(ctx context.Context) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var tries sync.WaitGroup
	defer tries.Wait()
	h := hands{free: make(chan struct{}, atOnce), back: make(chan struct{}, 1), tries: &tries}
	for range atOnce {
		h.free <- struct{}{}
	}
	for {
		s.drain(ctx, h)
		select {
		case <-ctx.Done():
			return
		case <-h.back:
		case <-poll.C:
		}
	}
}

// hands are what tries are made with.
type hands struct {
	free  chan struct{}
	back  chan struct{} // something came free: there may be more to claim
	tries *sync.WaitGroup
}

// drain claims what there are hands for, client by client, until nothing is due that could be sent at once. What is due
// for a client that does not answer stays where it is: it takes no hands, no writes and no attempts.
func (s *Service) drain(ctx context.Context, h hands) {
	var taken []string // by other nodes, between the look and the claim
	for ctx.Err() == nil && len(h.free) > 0 {
		now := s.DB.Now()
		client, err := s.DB.DueClient(ctx, now, append(s.lines.closed(now), taken...))
		if err != nil || client == "" {
			return // the database will answer again, and so will the next poll
		}
		places := min(len(h.free), s.lines.places(client, now))
		list, err := s.DB.DueNotices(ctx, now, lease, client, places)
		if err != nil {
			return
		}
		if len(list) == 0 {
			taken = append(taken, client)
		}
		for _, n := range list {
			s.lines.enter(client)
			<-h.free
			h.tries.Go(func() {
				s.settle(context.WithoutCancel(ctx), n)
				s.lines.leave(client)
				h.free <- struct{}{}
				select {
				case h.back <- struct{}{}:
				default: // it is known already
				}
			})
		}
	}
}

// settle brings one leased notice to its end, or puts it back. If the database does not answer, the lease runs out and the
// notice comes again.
func (s *Service) settle(ctx context.Context, n store.Notice) {
	client, err := s.Client(ctx, n.ClientID)
	if err != nil {
		return
	}
	if client == nil || client.BackchannelLogout == "" { // withdrawn, or it no longer wants to hear
		s.lines.answered(n.ClientID)
		_ = s.DB.NoticeDone(ctx, n.ID)
		return
	}
	if wait := s.paced(client); wait > 0 {
		until := s.DB.Now().Add(wait)
		s.lines.rest(n.ClientID, until) // or each round would claim what is only put back again
		_ = s.DB.NoticeUntried(ctx, n.ID, until)
		return
	}
	again, err := s.send(ctx, client, n)
	s.note(n.ClientID, again, err)
	if err == nil {
		_ = s.DB.NoticeDone(ctx, n.ID)
		return
	}
	next := s.DB.Now().Add(backoff(n.Attempts))
	if again && next.Before(n.ExpiresAt) {
		_ = s.DB.NoticeLater(ctx, n.ID, next)
		return
	}
	err = errors.Join(err, s.DB.NoticeDone(ctx, n.ID))
	if s.GaveUp != nil {
		s.GaveUp(fmt.Errorf("client %s was not told that %s is over: %w", n.ClientID, n.SessionID, err))
	}
}

// paced is how long a client's host must be left alone; zero: it need not, and the try is counted.
func (s *Service) paced(client *domain.Client) time.Duration {
	if !client.Unverified() {
		return 0
	}
	u, err := url.Parse(client.BackchannelLogout)
	if err != nil {
		return 0 // send refuses it
	}
	return s.Pace.Take(strings.ToLower(u.Hostname()), s.DB.Now())
}

// note keeps whether the client answers: one that refuses does, too.
func (s *Service) note(client string, again bool, err error) {
	if !again {
		s.lines.answered(client)
		return
	}
	if rounds := s.lines.failed(client, s.DB.Now()); rounds == silentAfter && s.Silent != nil {
		s.Silent(fmt.Errorf("client %s has not answered %d times in a row, the last time because: %w", client, rounds, err))
	}
}

// send makes one try. again tells whether another one may do better: not where the client refuses the token, nor where its
// address is none we connect to.
func (s *Service) send(ctx context.Context, client *domain.Client, n store.Notice) (again bool, err error) {
	logout, err := s.Tokens.MintLogout(s.DB.Now(), token.Logout{Client: client, AccountID: n.AccountID, SessionID: n.SessionID})
	if err != nil {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendAtMost)
	defer cancel()
	way := s.Fetch
	if client.Registered != "" && s.Strangers != nil {
		way = s.Strangers
	}
	answer, err := way.PostForm(ctx, client.BackchannelLogout, url.Values{"logout_token": {logout}})
	switch {
	case errors.Is(err, fetch.ErrURL), errors.Is(err, fetch.ErrAddress):
		return false, err
	case errors.Is(err, fetch.ErrTooLarge): // whatever it says at such length, it was reached
		return false, err
	case err != nil:
		return true, err
	case answer.Status >= 200 && answer.Status < 300: // §2.8 wants 200 and knows that frameworks say 204
		return false, nil
	}
	passing := answer.Status >= 500 || answer.Status == 408 || answer.Status == 429
	return passing, fmt.Errorf("it answered %d", answer.Status)
}

// backoff grows from two seconds to an hour.
func backoff(attempts int) time.Duration {
	return min(maxBackoff, time.Second<<min(12, max(1, attempts)))
}
