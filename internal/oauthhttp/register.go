package oauthhttp

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/registration"
)

const pathRegister = registration.Path // RFC 7591 §3

// registrationRoutes are there only where somebody may register: elsewhere there is nothing at these paths.
func (d *Door) registrationRoutes() []httpd.Route {
	if !d.registers() {
		return nil
	}
	const own = pathRegister + "/{id}" // RFC 7592 §2
	return []httpd.Route{
		{Method: http.MethodPost, Path: pathRegister, Handler: d.register, CORS: true},
		{Method: http.MethodGet, Path: own, Handler: d.readRegistration},
		{Method: http.MethodPut, Path: own, Handler: d.replaceRegistration},
		{Method: http.MethodDelete, Path: own, Handler: d.deleteRegistration},
	}
}

func (d *Door) registers() bool {
	return d.Registration != nil && d.Registration.Mode != registration.Off
}

// register is POST /register.
func (d *Door) register(w http.ResponseWriter, r *http.Request) {
	token, err := bearerToken(r)
	if err != nil {
		refuseRegistration(w, r, err)
		return
	}
	body, err := httpd.JSONBody(r)
	if err != nil {
		httpd.OAuthError(w, r, err, false)
		return
	}
	answer, err := d.Registration.Register(r.Context(), body, token, httpd.LimitKey(r))
	if err != nil {
		refuseRegistration(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusCreated, answer)
}

// readRegistration is GET /register/{id}.
func (d *Door) readRegistration(w http.ResponseWriter, r *http.Request) {
	d.manage(w, r, func(id, token string) (*registration.Answer, error) {
		return d.Registration.Read(r.Context(), id, token)
	})
}

// replaceRegistration is PUT /register/{id}.
func (d *Door) replaceRegistration(w http.ResponseWriter, r *http.Request) {
	d.manage(w, r, func(id, token string) (*registration.Answer, error) {
		body, err := httpd.JSONBody(r)
		if err != nil {
			return nil, err
		}
		return d.Registration.Replace(r.Context(), id, token, body)
	})
}

// deleteRegistration is DELETE /register/{id}.
func (d *Door) deleteRegistration(w http.ResponseWriter, r *http.Request) {
	d.manage(w, r, func(id, token string) (*registration.Answer, error) {
		return nil, d.Registration.Delete(r.Context(), id, token)
	})
}

// manage is what the three have in common: the registration access token, and how they answer.
func (d *Door) manage(w http.ResponseWriter, r *http.Request, do func(id, token string) (*registration.Answer, error)) {
	token, err := bearerToken(r)
	if err == nil && token == "" {
		err = registration.ErrNoAccessToken
	}
	var answer *registration.Answer
	if err == nil {
		answer, err = do(r.PathValue("id"), token)
	}
	switch {
	case err != nil:
		refuseRegistration(w, r, err)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		httpd.WriteJSON(w, r, http.StatusOK, answer)
	}
}

// refuseRegistration answers 401 with a challenge where the token is wrong or missing, and as RFC 7591 §3.2.2 has it
// otherwise. No token of registration is bound to a key, so Bearer is the one scheme; where none came the challenge has no
// error code (RFC 6750 §3.1), and the body says which is wanted.
func refuseRegistration(w http.ResponseWriter, r *http.Request, err error) {
	if oauth.AsError(err).Code != oauth.InvalidToken {
		httpd.BearerError(w, r, err)
		return
	}
	challenge := `Bearer realm="countersign"`
	if r.Header.Get("Authorization") != "" {
		challenge = `Bearer error="invalid_token"`
	}
	w.Header()["Www-Authenticate"] = []string{challenge}
	httpd.OAuthError(w, r, err, false)
}

// bearerToken reads the one place where the tokens of registration may be (RFC 6750 §2.1); empty: none came.
func bearerToken(r *http.Request) (string, error) {
	switch headers := r.Header["Authorization"]; len(headers) {
	case 0:
		return "", nil
	case 1:
		scheme, token, _ := strings.Cut(headers[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return "", oauth.E(oauth.InvalidRequest, "Send the token of a registration as Authorization: Bearer.")
		}
		return token, nil
	}
	return "", oauth.E(oauth.InvalidRequest, "The request has more than one Authorization header.")
}
