package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// RequestAlgs lists the algorithms a client may sign request objects with, for metadata. Never none (RFC 9101 §6.2).
func RequestAlgs() []jose.Alg { return []jose.Alg{jose.ES256, jose.PS256, jose.RS256, jose.EdDSA} }

const (
	// fastClock is how far a client's clock may be ahead of ours (FAPI 2.0 §5.3.2.1).
	fastClock = 10 * time.Second
	// objectLife is how old an object may be, and how long it may be good, where it must say so (FAPI 2.0 Message Signing
	// §5.3.1).
	objectLife = time.Hour
)

// unwrapped returns the parameters that count: those of a signed request object if one came, and then no others (RFC 9101
// §6.3, ATTACKS AZ32), else those of the request itself.
func (s *Service) unwrapped(ctx context.Context, c *domain.Client, f httpd.Form, ip string) (httpd.Form, error) {
	object, uri := f.Get("request"), f.Get("request_uri")
	switch {
	case f.Twice("request") || f.Twice("request_uri") || (object != "" && uri != ""): // RFC 9101 §5
		return f, oauth.E(oauth.InvalidRequest, "Send one request or one request_uri.")
	case uri != "":
		fetched, err := s.kept(ctx, c, uri, ip)
		if err != nil {
			return f, err
		}
		return s.openObject(ctx, c, fetched)
	case object != "":
		return s.openObject(ctx, c, object)
	case c.MustSignRequest():
		return f, oauth.E(oauth.InvalidRequest, "This client signs its requests: send them as a JWT in the parameter request (RFC 9101).")
	}
	return f, nil
}

// objectParameters are what a request may ask for, in an object as well as beside one.
var objectParameters = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "response_mode", "prompt", "max_age",
	"ui_locales", "id_token_hint", "login_hint", "acr_values", "code_challenge", "code_challenge_method", "dpop_jkt",
	"registration",
}

// jsonParameters are JSON in a form, and in an object as they are (RFC 9101 §4) or, as some write them, a string with it.
var jsonParameters = []string{"claims", "authorization_details"}

// openObject verifies a request object and reads the parameters in it. It is the client's if a key of the client signed it,
// ours if it says so, and of this moment.
func (s *Service) openObject(ctx context.Context, c *domain.Client, object string) (httpd.Form, error) {
	policy := jose.Policy{Algs: RequestAlgs(), OrTyp: "oauth-authz-req+jwt"} // JWT and none come from before RFC 9101
	if c.RequestAlg != "" {
		policy.Algs = []jose.Alg{jose.Alg(c.RequestAlg)}
	}
	claims, err := s.Clients.Verify(ctx, c, object, policy)
	var fault *oauth.Error
	switch {
	case errors.As(err, &fault):
		return httpd.Form{}, fault
	case err != nil:
		return httpd.Form{}, badObject("it is not a JWT that a registered key of this client signed").Because(err)
	}
	if err := s.judgeObject(c, claims); err != nil {
		event.Add(ctx, "request_object", err.Error())
		return httpd.Form{}, badObject(err.Error())
	}
	return objectForm(claims)
}

func badObject(why string) *oauth.Error {
	return oauth.E(oauth.InvalidRequestObject, "The request object cannot be used: "+why+".")
}

// judgeObject holds the claims about the object itself against RFC 9101 §4, §10.8 and the client's profile.
func (s *Service) judgeObject(c *domain.Client, claims jose.Claims) error {
	id, _, errID := claims.String("client_id")
	iss, hasIss, errIss := claims.String("iss")
	aud, _, errAud := claims.Strings("aud")
	switch {
	case errID != nil || id != c.ID:
		return errors.New("client_id is missing in it, or is not the client_id beside it")
	case errIss != nil || (hasIss && iss != c.ID):
		return errors.New("iss is not the client_id")
	case errAud != nil || !slices.Contains(aud, s.Issuer):
		return fmt.Errorf("aud is not %s", s.Issuer)
	case claims.Has("sub"): // or it could be taken for an assertion of the client (RFC 9101 §10.8)
		return errors.New("it has a sub, which only a client assertion may have")
	case claims.Has("request") || claims.Has("request_uri"):
		return errors.New("request and request_uri have no place in it")
	}
	return judgeObjectTimes(c, claims, s.DB.Now())
}

func judgeObjectTimes(c *domain.Client, claims jose.Claims, now time.Time) error {
	exp, hasExp, errExp := claims.Time("exp")
	nbf, hasNbf, errNbf := claims.Time("nbf")
	iat, _, errIat := claims.Time("iat")
	strict := c.MustSignRequest()
	switch {
	case errors.Join(errExp, errNbf, errIat) != nil:
		return errors.New("exp, nbf and iat must be numbers of seconds")
	case hasExp && !now.Before(exp):
		return errors.New("it has expired")
	case nbf.After(now.Add(fastClock)), iat.After(now.Add(fastClock)):
		return errors.New("nbf or iat is in the future")
	case strict && (!hasExp || !hasNbf):
		return errors.New("exp or nbf is missing")
	case strict && nbf.Before(now.Add(-objectLife)):
		return errors.New("nbf is more than an hour ago")
	case strict && exp.After(nbf.Add(objectLife)):
		return errors.New("exp is more than an hour after nbf")
	}
	return nil
}

// objectForm writes the parameters of an object as a form has them: numbers and objects become their text.
func objectForm(claims jose.Claims) (httpd.Form, error) {
	var pairs []string
	for _, name := range objectParameters {
		text, ok := claims.Text(name)
		switch {
		case ok:
			pairs = append(pairs, name, text)
		case claims.Has(name): // null or a list: nobody can have meant what would become of it
			return httpd.Form{}, badObject(name + " is neither a string nor a number")
		}
	}
	for _, name := range jsonParameters {
		text, ok := claims.Text(name)
		if !ok {
			text, ok = claims.JSON(name)
		}
		if ok {
			pairs = append(pairs, name, text)
		}
	}
	resources, _, err := claims.Strings("resource")
	if err != nil {
		return httpd.Form{}, badObject("resource is neither a string nor an array of strings")
	}
	for _, r := range resources {
		pairs = append(pairs, "resource", r)
	}
	return httpd.NewForm(pairs...)
}

// kept fetches an object from an address of the client's. Only an address that was registered, letter for letter, is ever
// asked: for any other not even a socket is opened (ATTACKS AZ30, RFC 9101 §10.4).
func (s *Service) kept(ctx context.Context, c *domain.Client, uri, ip string) (string, error) {
	if !slices.Contains(c.RequestURIs, uri) {
		return "", oauth.E(oauth.RequestURINotSupported, "request_uri is neither one of ours, from /par, nor one that is registered for this client.")
	}
	room, shares := &s.fetching, []string{"client " + c.ID}
	if c.Registered != "" { // strangers have a room of their own, and whoever has many clients no more of it than others
		room, shares = &s.fetchingStrange, append(shares, "host "+oauth.RedirectTarget(uri), "address "+ip)
	}
	leave, ok := room.Enter(objectRoom, objectShare, shares...)
	if !ok {
		return "", oauth.Unavailable(errors.New("too many request objects are being fetched"))
	}
	defer leave()
	answer, err := s.Fetch.GetDocument(ctx, uri, fetch.RequestObject)
	if err != nil {
		return "", oauth.E(oauth.InvalidRequestURI, "The request object could not be fetched from its request_uri.").Because(err)
	}
	return strings.TrimSpace(string(answer.Body)), nil
}
