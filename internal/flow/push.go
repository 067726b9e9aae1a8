package flow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/clientauth"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// pushedPrefix begins every request_uri of ours (RFC 9126 §2.2); what follows is a secret, of which the row keeps the hash.
const pushedPrefix = "urn:ietf:params:oauth:request_uri:"

// Push is what an authenticated client leaves at /par.
type Push struct {
	Client *domain.Client
	Form   httpd.Form
	Proofs []string // DPoP headers
	URL    string   // of the endpoint: the htu of the proof
	IP     string   // for limits
}

// Pushed is the answer (RFC 9126 §2.2).
type Pushed struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"`
}

// Push checks a request as /authorize would, and keeps it for the browser that will come with its request_uri. Nothing
// in it can be changed by that browser (RFC 9126 §1).
func (s *Service) Push(ctx context.Context, p Push) (*Pushed, error) {
	if err := s.mayPush(ctx, p); err != nil {
		return nil, err
	}
	request, err := s.pushable(ctx, p)
	if err != nil {
		return nil, err
	}
	now, secret := s.DB.Now(), newSecret()
	flow := domain.Flow{
		ID: domain.NewID[domain.FlowID](), Kind: domain.FlowPushed, State: domain.FlowOpen, Request: request,
		CodeHash: hashed(secret), CreatedAt: now, ExpiresAt: now.Add(PushTTL),
	}
	if err := s.DB.StartFlow(ctx, flow); err != nil {
		return nil, oauth.Unavailable(fmt.Errorf("store the pushed request: %w", err))
	}
	event.Add(ctx, "pushed", flow.ID)
	return &Pushed{RequestURI: pushedPrefix + secret, ExpiresIn: int64(PushTTL.Seconds())}, nil
}

// mayPush: whoever authenticated answers for what it leaves here. Who did not, or is a client that nobody answers for, has
// the limit of those who begin trips (ATTACKS DS08).
func (s *Service) mayPush(ctx context.Context, p Push) error {
	switch id := p.Form.Get("client_id"); {
	case p.Form.Get("request_uri") != "": // RFC 9126 §2.1
		return oauth.E(oauth.InvalidRequest, "request_uri has no place here: send the parameters themselves, or a signed request object as request.")
	case id == "" && p.Form.Get("request") != "": // RFC 9126 §3: then it is in the object, which is held against the client
	case id == "":
		return oauth.E(oauth.InvalidRequest, "client_id is missing: it is a parameter of the authorization request, however the client authenticates.")
	case id != p.Client.ID:
		return oauth.E(oauth.InvalidRequest, "client_id is not the client that authenticated.")
	}
	if err := s.usable(ctx, p.Client); err != nil {
		return err
	}
	if p.Client.Confidential() && !p.Client.Unverified() {
		return nil
	}
	return s.mayBegin(p.IP, s.DB.Now())
}

// pushable reads the whole request.
func (s *Service) pushable(ctx context.Context, p Push) (domain.AuthRequest, error) {
	none := domain.AuthRequest{}
	asked, err := s.unwrapped(ctx, p.Client, p.Form, p.IP)
	if err != nil {
		return none, err
	}
	request, err := s.address(ctx, p.Client, asked)
	if err != nil {
		return none, err
	}
	if err := s.complete(ctx, p.Client, &request, asked); err != nil {
		return none, err
	}
	err = s.bindToProof(ctx, &request, p)
	return request, err
}

// bindToProof makes the key of a proof the one the code will be good for, as dpop_jkt would (RFC 9449 §10.1).
func (s *Service) bindToProof(ctx context.Context, r *domain.AuthRequest, p Push) error {
	if len(p.Proofs) == 0 {
		return nil
	}
	now := s.DB.Now()
	proof, err := s.DPoP.Verify(ctx, dpop.Request{Proofs: p.Proofs, Method: http.MethodPost, URL: p.URL, Now: now})
	if err != nil {
		return dpop.Refusal(err)
	}
	if err := clientauth.MayProve(p.Client, proof, now); err != nil {
		return err
	}
	if r.DPoPJKT != "" && r.DPoPJKT != proof.JKT {
		return oauth.E(oauth.InvalidRequest, "dpop_jkt is not the thumbprint of the key that made the DPoP proof.")
	}
	first := s.Replay.First
	if p.Client.AuthMethod.Unrepeatable() {
		first = s.Replay.FirstBeside
	}
	if err := first(proof.JKT, proof.JTI, proof.ExpiresAt, now); err != nil {
		return dpop.Refusal(err)
	}
	r.DPoPJKT = proof.JKT
	return nil
}

// pushedHandle finds a request_uri of ours. Whatever stands beside it in the address is ignored (RFC 9126 §4): only what
// was pushed counts.
func pushedHandle(f httpd.Form) (secret string, ok bool) {
	if f.Twice("request_uri") {
		return "", false
	}
	return strings.CutPrefix(f.Get("request_uri"), pushedPrefix)
}

// authorizePushed begins a trip from a pushed request. Any number of trips may begin from it, a reload and a preview of
// the link among them; the first that gets a code spends it.
func (s *Service) authorizePushed(ctx context.Context, c *domain.Client, secret string, f httpd.Form, v Visitor) (*Outcome, error) {
	pushed, err := s.DB.FlowByCode(ctx, hashed(secret))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return stale(c, f), nil
	case err != nil:
		return nil, oauth.Unavailable(err)
	case pushed.Kind != domain.FlowPushed || pushed.Request.ClientID != c.ID:
		event.Add(ctx, "alarm", "request_uri.other_client")
		return stale(c, f), nil
	case pushed.State != domain.FlowOpen || pushed.Expired(s.DB.Now()):
		return stale(c, f), nil
	}
	event.Add(ctx, "pushed", pushed.ID)
	t := s.begun(c, pushed.Request, v)
	t.flow.Request.Pushed = pushed.ID
	return s.depart(ctx, t)
}

var errRequestURI = oauth.E(oauth.InvalidRequestURI,
	"This request_uri is not known: it was used, has expired after 60 seconds, or belongs to another client. Go back to the app and start again.")

// stale is where a browser ends whose request_uri leads nowhere: on our page, for nothing says where it should go.
func stale(c *domain.Client, f httpd.Form) *Outcome {
	o := unaddressed(c, f, errRequestURI)
	o.Problem.Key = "error.request_uri"
	return o
}

// spent is where a trip ends whose pushed request another trip had its code for.
func (t *trip) spent() *Outcome {
	return &Outcome{Problem: &Problem{Shown: t.shown(), Err: errRequestURI, Key: "error.request_uri"}}
}
