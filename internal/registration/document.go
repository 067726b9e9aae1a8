package registration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/countersign/countersign/internal/clientmeta"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// What is kept of a document, and for how long (CIMD draft -01 §4.4, §6.6).
const (
	documentBytes = 5 << 10
	freshAtLeast  = time.Minute
	freshAtMost   = 24 * time.Hour
	keptAtMost    = 24 * time.Hour // while its server is down

	fetchesPerMinute = 10 // of one document, that failed
	fetchWithin      = 9 * time.Second

	loggedID = 256 // bytes of an address, in the log
)

// What strangers can make us read, and how many requests wait for it meanwhile (ATTACKS RG08, RG10).
const (
	documentsPerMinute = 60  // that we do not have, for one address
	documentsAtOnce    = 600 // for all addresses together, in a minute
	waitingRoom        = 64
	waitingShare       = 16 // for one document, and of one address; or for one host
)

var documentKind = fetch.Kind{Accept: "application/json", MaxBytes: documentBytes}

// documents is the memory of one node about clients that are named by their documents.
type documents struct {
	once    sync.Once
	failed  *httpd.Limiter // of one document
	asked   *httpd.Limiter // by one address
	total   *httpd.Limiter // by all
	waiting httpd.Room
	flights singleflight.Group
}

func (d *documents) limits() *documents {
	d.once.Do(func() {
		d.failed = httpd.NewLimiter(fetchesPerMinute, 1<<14)
		d.asked = httpd.NewLimiter(documentsPerMinute, 1<<14)
		d.total = httpd.NewLimiter(documentsAtOnce, 1)
	})
	return d
}

// Discover reads the document that a client id is the address of, if it is one and what we have is not fresh. It is for
// requests that begin something: nothing else makes this server fetch (CIMD draft -01 §4). Callers that ask for one client
// at a time share one fetch, and few may wait for it. ip is where the request came from. The error is invalid_request,
// slow_down or temporarily_unavailable.
func (s *Service) Discover(ctx context.Context, id, ip string) error {
	if !s.Documents || !clientmeta.IsDocumentID(id) {
		return nil
	}
	event.Add(ctx, "document", event.Cut(id, loggedID))
	known, err := s.DB.RegisteredDocument(ctx, id)
	now := s.DB.Now()
	switch {
	case errors.Is(err, store.ErrNotFound):
		known = nil
	case err != nil:
		return oauth.Unavailable(err)
	case now.Before(known.FreshUntil):
		return nil
	}
	leave, ok := s.documents.limits().waiting.Enter(waitingRoom, waitingShare, "document "+id, "address "+ip, "host "+hostOf(id))
	switch {
	case !ok && kept(known, now):
		return nil
	case !ok:
		return oauth.Unavailable(errors.New("too many wait for the documents of clients"))
	}
	defer leave()
	flight := s.documents.flights.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchWithin)
		defer cancel()
		return nil, s.refresh(ctx, id, ip, known, now)
	})
	select {
	case <-ctx.Done():
		return oauth.Unavailable(ctx.Err())
	case landed := <-flight:
		return landed.Err
	}
}

// kept tells whether what was read last may still be used where nothing newer is to be had.
func kept(known *store.Registration, now time.Time) bool {
	return known != nil && now.Before(known.FetchedAt.Add(keptAtMost))
}

// refresh reads a document and keeps what it says. While its server is down, what was read last is good for a day; a
// document that is gone, or says something else than it may, is not kept.
func (s *Service) refresh(ctx context.Context, id, ip string, known *store.Registration, now time.Time) error {
	stale := kept(known, now)
	wait := s.documents.wait(id, ip, stale, now)
	switch {
	case wait > 0 && stale:
		return nil
	case wait > 0:
		return limited(wait)
	}
	answer, err := s.Fetch.GetDocument(ctx, id, documentKind)
	if err != nil {
		s.documents.failed.Take(id, now)
		event.Add(ctx, "document_error", err.Error())
		if stale && down(err) {
			return nil
		}
		return errDocument.Because(err)
	}
	if err := s.keep(ctx, id, known, answer, now); err != nil {
		s.documents.failed.Take(id, now)
		return err
	}
	return nil
}

var errDocument = oauth.E(oauth.InvalidRequest, "This app names itself by an address where its description cannot be read: it must answer 200 with JSON (Content-Type: application/json) of at most 5 kB, without a redirect, from the public Internet.")

var (
	errOtherAddress = oauth.E(oauth.InvalidRequest, "The description of this app is not one we take: its client_id must be the address it is read from, letter for letter.")
	errSecret       = oauth.E(oauth.InvalidRequest, "The description of this app is not one we take: everybody can read it, so it must have no client_secret. Sign with private_key_jwt, or use none.")
)

// wait is how long the next fetch of a document must wait; zero: it need not, and is counted. To one address is counted
// what it brings up that we do not have: that what we have grew old is nobody's doing.
func (d *documents) wait(id, ip string, stale bool, now time.Time) time.Duration {
	wait := d.failed.Wait(id, now)
	if wait == 0 && !stale {
		wait = d.asked.Take(ip, now)
	}
	if wait == 0 {
		wait = d.total.Take("", now)
	}
	return wait
}

// down tells whether it is the server that fails, and not what it says.
func down(err error) bool {
	if errors.Is(err, fetch.ErrDown) {
		return true
	}
	return !errors.Is(err, fetch.ErrURL) && !errors.Is(err, fetch.ErrAddress) && !errors.Is(err, fetch.ErrTooLarge) && !errors.Is(err, fetch.ErrStatus)
}

func (s *Service) keep(ctx context.Context, id string, known *store.Registration, answer *fetch.Response, now time.Time) error {
	if !isJSON(answer.MediaType) { // or whatever a site lets its users put there could be a client (CIMD draft -01 §4.1)
		return errDocument.Because(errors.New("it is not served as JSON"))
	}
	doc, err := clientmeta.Parse(answer.Body)
	if err != nil {
		return described(err)
	}
	switch {
	case doc.ClientID != id: // byte for byte (CIMD draft -01 §4.1)
		return errOtherAddress.Because(errors.New("its client_id is not its address"))
	case doc.Has("client_secret") || doc.Has("client_secret_expires_at"):
		return errSecret.Because(errors.New("it has a secret in it"))
	}
	c, m, err := s.judge(ctx, &doc.Metadata, domain.RegisteredByDocument, now)
	if err != nil {
		return described(err)
	}
	c.ID, c.RegisteredAt = id, now
	if known != nil {
		if err := clientmeta.SubjectStays(&known.Client, c); err != nil {
			return described(err)
		}
		c.RegisteredAt = known.Client.RegisteredAt
	} else if err := s.roomFor(ctx, c.Registered, now); err != nil {
		return err
	}
	r, err := row(c, m)
	if err != nil {
		return err
	}
	r.FetchedAt, r.FreshUntil = now, now.Add(min(max(answer.MaxAge, freshAtLeast), freshAtMost))
	kept, err := s.DB.PutDocument(ctx, r, told(ctx, now))
	if err == nil && !kept {
		event.Add(ctx, "document_error", "the id is one of the operator's")
	}
	if err != nil {
		return oauth.Unavailable(err)
	}
	return nil
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || (strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json"))
}

// described says to a person what is wrong with a document.
func described(err error) error {
	e := oauth.AsError(err)
	if e.Code == oauth.TemporarilyUnavailable { // nothing was judged
		return e
	}
	return oauth.E(oauth.InvalidRequest, "The description of this app is not one we take: "+e.Description).Because(fmt.Errorf("%s: %w", e.Code, err))
}
