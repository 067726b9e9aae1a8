package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/upstream"
)

// Apple's authorization code lives five minutes and is redeemed once (apple.md §8). It is sealed in the transaction of
// the sign-in and redeemed after it, so that Apple being slow or down keeps nobody from signing in.
const (
	kindAppleRedeem = "apple.redeem"
	kindAppleRevoke = "apple.revoke"
	appleIssuer     = "https://appleid.apple.com"
	codeLife        = 5 * time.Minute
	revokeLife      = 30 * day // a refresh token of Apple's does not expire, but a key that is wrong for a month will stay so

	outboxPoll  = 3 * time.Second
	outboxLease = 30 * time.Second
	outboxBatch = 8
	maxBackoff  = 30 * time.Second
	maxPatience = time.Hour // between two tries to revoke, which is in no hurry

	day = 24 * time.Hour
)

// redeem is the payload of an item, sealed.
type redeem struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"` // at Apple: the audience of the token that came with the code
	Code     string `json:"code"`
}

// redemption is the outbox item of a sign-in or link, if there is anything to redeem.
func (s *Service) redemption(now time.Time, who *proven, code string, id domain.SessionID) ([]store.OutboxItem, error) {
	provider, ok := s.Providers.ByIssuer(who.subject.Issuer)
	if code == "" || who.subject.Issuer != appleIssuer || !ok || !provider.RedeemsCodes() {
		return nil, nil
	}
	payload, err := json.Marshal(redeem{
		Issuer: who.subject.Issuer, Subject: who.subject.Subject, ClientID: who.subject.Audience, Code: code,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the redemption: %w", err)
	}
	aad := "outbox/" + kindAppleRedeem + "/" + id.String()
	sealed, err := s.Keys.Seal(aad, payload)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	return []store.OutboxItem{{
		Kind: kindAppleRedeem, AAD: aad, Payload: sealed, CreatedAt: now, ExpiresAt: now.Add(codeLife),
	}}, nil
}

// revocation is the outbox item of an unlinked identity, for the store to complete: only Apple's have a grant.
func revocation(now time.Time) store.OutboxItem {
	return store.OutboxItem{Kind: kindAppleRevoke, CreatedAt: now, ExpiresAt: now.Add(revokeLife)}
}

// wakeOutbox makes this node look at once; the other nodes find the item by polling.
func (s *Service) wakeOutbox() {
	s.prepare()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

// RunOutbox redeems Apple's codes, and revokes its refresh tokens, until ctx ends.
func (s *Service) RunOutbox(ctx context.Context) {
	s.prepare()
	poll := time.NewTicker(outboxPoll)
	defer poll.Stop()
	for {
		s.drainOutbox(ctx)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-poll.C:
		}
	}
}

// drainOutbox works until nothing is due.
func (s *Service) drainOutbox(ctx context.Context) {
	for ctx.Err() == nil {
		items, err := s.DB.ClaimOutbox(ctx, s.DB.Now(), outboxLease, outboxBatch)
		if err != nil || len(items) == 0 {
			return // the database will answer again, and so will the next poll
		}
		var all sync.WaitGroup
		for _, item := range items {
			all.Go(func() { s.settle(ctx, item) })
		}
		all.Wait()
	}
}

// settle brings one leased item to its end, or puts it back. If the database does not answer, the lease runs out and
// the item comes again. A code can be redeemed once: once Apple is asked, a stop waits for the answer to be kept.
func (s *Service) settle(stop context.Context, item store.OutboxItem) {
	now, ctx := s.DB.Now(), context.WithoutCancel(stop)
	grant, err := s.carryOut(ctx, item)
	next := now.Add(backoff(item))
	e := domain.Event{At: now, Action: "identity.grant", Actor: "system"}
	switch {
	case err == nil:
		err = s.keep(stop, item.ID, grant, e)
	case errors.Is(err, upstream.ErrUnavailable) && next.Before(item.ExpiresAt):
		err = s.DB.RetryOutbox(ctx, item.ID, next)
	default:
		err = errors.Join(err, s.DB.FinishOutbox(ctx, item.ID, nil, e))
	}
	if err != nil && s.GaveUp != nil {
		s.GaveUp(fmt.Errorf("%s of %s: %w", item.Kind, item.IdentityID, err))
	}
}

// carryOut does what the item says. Only a redemption leaves a grant.
func (s *Service) carryOut(ctx context.Context, item store.OutboxItem) (*store.UpstreamGrant, error) {
	switch item.Kind {
	case kindAppleRedeem:
		return s.redeem(ctx, item)
	case kindAppleRevoke:
		return nil, s.revoke(ctx, item)
	}
	return nil, fmt.Errorf("unknown kind %q", item.Kind)
}

const (
	keepTrying = time.Minute // to put a grant away
	keepEvery  = 250 * time.Millisecond
)

// keep puts away what a code was redeemed for. There is no second one, so it outlasts a failover of the database.
func (s *Service) keep(stop context.Context, id int64, grant *store.UpstreamGrant, e domain.Event) error {
	end := time.After(keepTrying)
	for {
		err := s.DB.FinishOutbox(context.WithoutCancel(stop), id, grant, e)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(keepEvery):
		case <-end:
			return err
		case <-stop.Done():
			return err
		}
	}
}

// redeem asks Apple and seals what it gave.
func (s *Service) redeem(ctx context.Context, item store.OutboxItem) (*store.UpstreamGrant, error) {
	payload, err := s.Keys.Open(item.AAD, item.Payload)
	if err != nil {
		return nil, err
	}
	var r redeem
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, err
	}
	provider, ok := s.Providers.ByIssuer(r.Issuer)
	if !ok {
		return nil, errors.New("the provider is no longer configured")
	}
	got, err := provider.RedeemAppleCode(ctx, r.ClientID, r.Code)
	if err != nil {
		return nil, err
	}
	if got.Subject != r.Subject {
		return nil, errors.New("the code belongs to another person than the id_token")
	}
	aad := "identities/" + item.IdentityID.String() + "/refresh"
	sealed, err := s.Keys.Seal(aad, []byte(got.RefreshToken))
	if err != nil {
		return nil, err
	}
	return &store.UpstreamGrant{IdentityID: item.IdentityID, ClientID: r.ClientID, AAD: aad, Sealed: sealed}, nil
}

// revoke tells Apple that the person took their identity off the account (DESIGN section 4). The item says at which client
// the grant was given and what it was sealed for (store.Unlink).
func (s *Service) revoke(ctx context.Context, item store.OutboxItem) error {
	clientID, aad, _ := strings.Cut(item.AAD, " ")
	token, err := s.Keys.Open(aad, item.Payload)
	if err != nil {
		return err
	}
	provider, ok := s.Providers.ByIssuer(appleIssuer)
	if !ok {
		return errors.New("the provider is no longer configured")
	}
	return provider.RevokeAppleToken(ctx, clientID, string(token))
}

// backoff grows from two seconds: a code has five minutes in all, a revocation a month.
func backoff(item store.OutboxItem) time.Duration {
	longest := maxBackoff
	if item.Kind == kindAppleRevoke {
		longest = maxPatience
	}
	return min(longest, time.Second<<min(12, max(1, item.Attempts)))
}
