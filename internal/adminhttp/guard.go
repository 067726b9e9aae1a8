package adminhttp

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/store"
)

// request is an authenticated one.
type request struct {
	*http.Request
	key *domain.APIKey
}

// action does what a route is for. A nil answer is 204.
type action func(r request) (answer any, err error)

// errNoKey says that no API key came at all.
var errNoKey = oauth.E(oauth.InvalidToken, "Send an API key: Authorization: Bearer cs_sk_... . Make one with: countersign api-key new")

// guard lets through live API keys with the scope.
func (d *Door) guard(scope string, do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key, err := d.authenticate(r, scope)
		if err != nil {
			challenge(w, scope, err)
			httpd.ProblemError(w, r, err)
			return
		}
		answer, err := do(request{r, key})
		switch {
		case errors.Is(err, store.ErrNotFound):
			httpd.Problem(w, r, http.StatusNotFound, "", "Not found", "There is nothing of this name.")
		case err != nil:
			httpd.ProblemError(w, r, err)
		case answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			httpd.WriteJSON(w, r, http.StatusOK, answer)
		}
	}
}

func (d *Door) authenticate(r *http.Request, scope string) (*domain.APIKey, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return nil, oauth.E(oauth.InvalidRequest, "Send one Authorization header.")
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return nil, errNoKey
	}
	key, err := d.APIKeys.Check(r.Context(), text)
	if err != nil {
		return nil, err
	}
	event.Add(r.Context(), "api_key", key.ID.String())
	if wait := d.pace.take(key.ID, d.PerSecond, d.DB.Now()); wait > 0 {
		e := oauth.E(oauth.TooManyRequests, "Too many requests with this API key. Wait for the time in Retry-After.")
		e.RetryAfter = wait
		return nil, e
	}
	if !slices.Contains(key.Scopes, scope) {
		return nil, oauth.E(oauth.InsufficientScope, "This API key lacks the scope "+scope+". Make one that has it: an existing key cannot gain scopes.")
	}
	return key, nil
}

// challenge is RFC 6750 §3: no error code where no credentials came.
func challenge(w http.ResponseWriter, scope string, err error) {
	var params string
	switch e := oauth.AsError(err); {
	case e == errNoKey:
		params = ` realm="countersign admin"`
	case e.Code == oauth.InvalidToken:
		params = ` error="invalid_token"`
	case e.Code == oauth.InsufficientScope:
		params = ` error="insufficient_scope", scope="` + scope + `"`
	default:
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer"+params)
}

// audit starts the audit row of a change by this API key.
func (d *Door) audit(r request) domain.Event {
	e := event.From(r.Context())
	return domain.Event{At: d.DB.Now(), Actor: "api-key " + r.key.ID.String(), RequestID: e.ID, IP: e.IP}
}

// failed keeps ErrNotFound, which is an answer, and makes everything else of the store a passing fault.
func failed(err error) error {
	if err == nil || errors.Is(err, store.ErrNotFound) {
		return err
	}
	return oauth.Unavailable(err)
}
