// Package backchannel tells clients that a session of theirs is over (OIDC Back-Channel Logout 1.0). What there is to tell
// was written down in the transaction of the ending; here it is sent, and sent again while a client does not answer. It
// ends nothing, and what a client makes of it changes nothing here: our tokens stopped when the session did.
package backchannel

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

const (
	// pollEvery bounds how long an ending waits to be told (ATTACKS SE05); each look is one read.
	pollEvery  = 500 * time.Millisecond
	sendAtMost = 5 * time.Second  // for one try
	lease      = 30 * time.Second // longer than a try with all it writes: no other node sends meanwhile
	atOnce     = 64               // tries under way on this node
	perClient  = 16               // of them to one client, so that a slow one holds up no other
	maxBackoff = time.Hour
)

// Service does it. Its fields are set by app before Run; it must not be copied afterwards.
type Service struct {
	DB      *store.DB
	Tokens  *token.Service
	Catalog func() *domain.Catalog
	Fetch   *fetch.Client
	GaveUp  func(error) // hears why a client was not told, outside of any request; nil: nobody does

	mu       sync.Mutex
	underWay map[string]int // tries by client
}

// Run sends what is due until ctx ends, and then waits for the tries under way.
func (s *Service) Run(ctx context.Context) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	var tries sync.WaitGroup
	defer tries.Wait()
	free := make(chan struct{}, atOnce)
	for range atOnce {
		free <- struct{}{}
	}
	for {
		s.drain(ctx, &tries, free)
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// drain claims as much as there are hands for, until nothing is due or all are busy.
func (s *Service) drain(ctx context.Context, tries *sync.WaitGroup, free chan struct{}) {
	for ctx.Err() == nil && len(free) > 0 {
		due, err := s.DB.NoticeDue(ctx, s.DB.Now())
		if err != nil || !due {
			return // the database will answer again, and so will the next poll
		}
		list, err := s.DB.DueNotices(ctx, s.DB.Now(), lease, len(free))
		if err != nil || len(list) == 0 {
			return
		}
		for _, n := range list {
			<-free
			tries.Go(func() {
				defer func() { free <- struct{}{} }()
				s.settle(context.WithoutCancel(ctx), n)
			})
		}
	}
}

// settle brings one leased notice to its end, or puts it back. If the database does not answer, the lease runs out and the
// notice comes again.
func (s *Service) settle(ctx context.Context, n store.Notice) {
	client := s.client(n.ClientID)
	if client == nil || client.BackchannelLogout == "" { // withdrawn, or it no longer wants to hear
		_ = s.DB.NoticeDone(ctx, n.ID)
		return
	}
	if !s.enter(n.ClientID) {
		_ = s.DB.NoticeLater(ctx, n.ID, s.DB.Now().Add(sendAtMost))
		return
	}
	defer s.leave(n.ClientID)
	again, err := s.send(ctx, client, n)
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

// send makes one try. again tells whether another one may do better: not where the client refuses the token, nor where its
// address is none we connect to.
func (s *Service) send(ctx context.Context, client *domain.Client, n store.Notice) (again bool, err error) {
	logout, err := s.Tokens.MintLogout(s.DB.Now(), token.Logout{Client: client, AccountID: n.AccountID, SessionID: n.SessionID})
	if err != nil {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendAtMost)
	defer cancel()
	answer, err := s.Fetch.PostForm(ctx, client.BackchannelLogout, url.Values{"logout_token": {logout}})
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

// client finds a declared client.
func (s *Service) client(id string) *domain.Client {
	clients := s.Catalog().Clients
	i := slices.IndexFunc(clients, func(c domain.Client) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return &clients[i]
}

// enter counts a try; false: the client has as many as it may.
func (s *Service) enter(client string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underWay == nil {
		s.underWay = map[string]int{}
	}
	if s.underWay[client] >= perClient {
		return false
	}
	s.underWay[client]++
	return true
}

func (s *Service) leave(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underWay[client]--; s.underWay[client] == 0 {
		delete(s.underWay, client)
	}
}
