package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/offer"
)

const (
	maxOpaque  = 2 << 10 // bytes of state and of nonce (ATTACKS AZ20)
	maxClaims  = 4 << 10
	maxHint    = 320 // an address, RFC 3696 erratum 1690
	maxLocales = 8
)

// asker reads who asks. Until that and the address of the answer hold, nothing is sent anywhere: every error of the two
// stays on a page of ours (RFC 6749 §4.1.2.1).
func (s *Service) asker(ctx context.Context, f httpd.Form, ip string) (*domain.Client, error) {
	id := f.Get("client_id")
	switch {
	case f.Twice("client_id"):
		return nil, oauth.E(oauth.InvalidRequest, "The parameter client_id came twice.")
	case id == "":
		return nil, oauth.E(oauth.InvalidRequest, "The app did not say which client it is: client_id is missing.")
	}
	client, err := s.Clients.Introduced(ctx, id, ip)
	if err != nil {
		return nil, err
	}
	if client == nil {
		return nil, oauth.E(oauth.InvalidRequest, "This app is not known here: there is no client with this client_id.")
	}
	event.Add(ctx, "client", client.ID)
	return client, s.usable(ctx, client)
}

func (s *Service) usable(ctx context.Context, client *domain.Client) error {
	state, err := s.DB.ClientState(ctx, client.ID)
	switch {
	case err != nil:
		return oauth.Unavailable(err)
	case state != domain.ClientLive:
		return oauth.E(oauth.UnauthorizedClient, "This app cannot sign anybody in at the moment: its client is disabled.").Because(fmt.Errorf("client is %v", state))
	}
	return nil
}

// address reads where the answer goes, and how.
func (s *Service) address(ctx context.Context, client *domain.Client, f httpd.Form) (domain.AuthRequest, error) {
	r := domain.AuthRequest{ClientID: client.ID, RedirectURI: f.Get("redirect_uri"), State: f.Get("state")}
	switch {
	case f.Twice("redirect_uri"):
		return r, oauth.E(oauth.InvalidRequest, "The parameter redirect_uri came twice.")
	case r.RedirectURI == "":
		return r, oauth.E(oauth.InvalidRequest, "The app did not say where to return to: redirect_uri is missing.")
	case len(client.RedirectURIs) == 0:
		return r, oauth.E(oauth.UnauthorizedClient, "This client has no redirect_uris, so nobody can sign in to it in a browser: it is a service, a device, or an app that signs in natively.")
	case !oauth.MatchRedirect(client.RedirectURIs, r.RedirectURI, client.Type == domain.ClientNative):
		event.Add(ctx, "redirect_uri", withoutQuery(r.RedirectURI))
		return r, oauth.E(oauth.InvalidRequest, "redirect_uri is not one that is registered for this client. It must be the same, letter for letter.")
	case len(r.State) > maxOpaque || len(f.Get("nonce")) > maxOpaque:
		r.State = ""
		return r, oauth.E(oauth.InvalidRequest, "state or nonce is longer than 2048 bytes.")
	}
	r.ResponseMode, _ = readMode(f)
	return r, nil
}

// readMode is how the answer travels; with a mode we do not know it travels as it does without one.
func readMode(f httpd.Form) (mode string, known bool) {
	switch mode := f.Get("response_mode"); mode {
	case oauth.ResponseFormPost, oauth.ResponseQueryJWT, oauth.ResponseFormPostJWT:
		return mode, true
	case oauth.ResponseJWT: // the default of a code, signed (JARM §2.3.4)
		return oauth.ResponseQueryJWT, true
	case "", oauth.ResponseQuery:
		return oauth.ResponseQuery, true
	}
	return oauth.ResponseQuery, false
}

// signedMode tells whether an answer travels as a JWT (JARM).
func signedMode(mode string) bool {
	return mode == oauth.ResponseQueryJWT || mode == oauth.ResponseFormPostJWT
}

// withoutQuery is as much of an address as belongs into a log.
func withoutQuery(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	return uri[:min(len(uri), 200)]
}

// complete reads everything else. Its errors go back to the client.
func (s *Service) complete(ctx context.Context, c *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	for _, step := range []func(context.Context, *domain.Client, *domain.AuthRequest, httpd.Form) error{
		s.readShape, s.readPKCE, s.readGrant, s.readPrompt, s.readPerson, s.readClaims,
	} {
		if err := step(ctx, c, r, f); err != nil {
			return err
		}
	}
	return nil
}

// readShape refuses what would make the request another one than it seems.
func (s *Service) readShape(_ context.Context, c *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	if name := f.Repeated("resource"); name != "" {
		if name == "state" {
			r.State = "" // which of the two would be theirs?
		}
		return oauth.E(oauth.InvalidRequest, "A parameter came twice; only resource may.")
	}
	mode, known := readMode(f)
	switch {
	case !known:
		return oauth.E(oauth.InvalidRequest, "response_mode can be query, form_post, jwt, query.jwt or form_post.jwt.")
	case c.MustSignResponse() && !signedMode(mode):
		return oauth.E(oauth.InvalidRequest, "This client gets signed answers only: send response_mode=jwt (JARM).")
	case f.Get("registration") != "":
		return oauth.E(oauth.RegistrationNotSupported, "registration is not supported: clients are declared by the operator.")
	case f.Get("response_type") == "":
		return oauth.E(oauth.InvalidRequest, "response_type is missing: it is code.")
	case f.Get("response_type") != oauth.ResponseCode:
		return oauth.E(oauth.UnsupportedResponseType, "response_type can only be code: tokens are not sent through a browser.")
	}
	return nil
}

func (s *Service) readPKCE(_ context.Context, c *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	challenge, method := f.Get("code_challenge"), f.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && !c.MustUsePKCE():
		return nil
	case challenge == "":
		return oauth.E(oauth.InvalidRequest, "code_challenge is missing: this client must use PKCE (RFC 7636) with S256.")
	case method != oauth.MethodS256:
		return oauth.E(oauth.InvalidRequest, "code_challenge_method must be S256. Left out it would mean plain, which protects nothing.")
	case !oauth.ValidChallenge(challenge):
		return oauth.E(oauth.InvalidRequest, "code_challenge must be the base64url SHA-256 of the verifier: 43 characters without padding.")
	}
	r.Challenge = challenge
	return nil
}

func (s *Service) readGrant(_ context.Context, c *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	granted, err := offer.Of(s.Catalog(), c, s.Issuer).Grant(offer.Wish{
		Scope: f.Get("scope"), Resources: f.All("resource"), Details: f.Get("authorization_details"),
	})
	if err != nil {
		return err
	}
	r.Scope, r.Resources, r.Details = granted.Scope, granted.Resources, granted.Details
	r.Nonce = f.Get("nonce")
	if jkt := f.Get("dpop_jkt"); jkt != "" {
		if !oauth.ValidThumbprint(jkt) {
			return oauth.E(oauth.InvalidRequest, "dpop_jkt must be the RFC 7638 SHA-256 thumbprint of the DPoP key: 43 base64url characters.")
		}
		r.DPoPJKT = jkt
	}
	return nil
}

func (s *Service) readPrompt(_ context.Context, c *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	r.Prompt = strings.Fields(f.Get("prompt"))
	for _, p := range r.Prompt {
		if !slices.Contains([]string{oauth.PromptNone, oauth.PromptLogin, oauth.PromptConsent, oauth.PromptSelect}, p) {
			return oauth.E(oauth.InvalidRequest, "prompt can hold none, login, consent and select_account.")
		}
	}
	if len(r.Prompt) > 1 && slices.Contains(r.Prompt, oauth.PromptNone) {
		return oauth.E(oauth.InvalidRequest, "prompt=none stands alone.")
	}
	r.MaxAge = c.DefaultMaxAge
	if text := f.Get("max_age"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 || strings.HasPrefix(text, "+") {
			return oauth.E(oauth.InvalidRequest, "max_age must be a number of seconds, zero or more.")
		}
		r.MaxAge = &seconds
	}
	return nil
}

// readPerson reads what the client knows about who is to sign in, and how.
func (s *Service) readPerson(ctx context.Context, _ *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	r.ACR = knownACR(strings.Fields(f.Get("acr_values")))
	if hint := f.Get("login_hint"); len(hint) <= maxHint {
		r.LoginHint = hint
	}
	r.Locales = readLocales(f)
	raw := f.Get("id_token_hint")
	if raw == "" {
		return nil
	}
	hint, err := s.Tokens.Hint(ctx, raw)
	if err != nil {
		return err
	}
	if hint == nil {
		return oauth.E(oauth.InvalidRequest, "id_token_hint is no ID token of this server.")
	}
	r.HintedSubject = hint.Subject
	return nil
}

// knownACR leaves out values we never give: acr_values is a wish (OIDC Core §3.1.2.1), and what nobody can reach is none.
func knownACR(values []string) []string {
	return slices.DeleteFunc(values, func(v string) bool { return v != domain.ACRSingle && v != domain.ACRPhish })
}

// claimWish is what a client may say about one claim (OIDC Core §5.5.1).
type claimWish struct {
	Essential bool              `json:"essential"`
	Value     json.RawMessage   `json:"value"`
	Values    []json.RawMessage `json:"values"`
}

// readClaims reads the claims parameter (OIDC Core §5.5). Claims we do not know are ignored, and so are those of a scope
// the client may not have.
func (s *Service) readClaims(_ context.Context, c *domain.Client, r *domain.AuthRequest, f httpd.Form) error {
	text := f.Get("claims")
	if text == "" {
		return nil
	}
	bad := oauth.E(oauth.InvalidRequest, "claims must be the JSON object of OpenID Connect Core section 5.5, of at most 4096 bytes.")
	if len(text) > maxClaims {
		return bad
	}
	var wishes struct {
		IDToken  map[string]*claimWish `json:"id_token"`
		UserInfo map[string]*claimWish `json:"userinfo"`
	}
	if err := json.Unmarshal([]byte(text), &wishes); err != nil {
		return bad.Because(err)
	}
	r.ClaimsText = text
	r.Claims = domain.Claims{IDToken: claimNames(wishes.IDToken, c), UserInfo: claimNames(wishes.UserInfo, c)}
	for _, list := range []map[string]*claimWish{wishes.IDToken, wishes.UserInfo} {
		if sub := list["sub"]; sub != nil && sub.Value != nil {
			var want string
			if err := json.Unmarshal(sub.Value, &want); err != nil || (r.HintedSubject != "" && r.HintedSubject != want) {
				return bad.Because(err)
			}
			r.HintedSubject = want
		}
	}
	return readACRWish(wishes.IDToken["acr"], r)
}

// readACRWish: an essential acr with values is a demand, as acr_values is here (RFC 9470 §4), and one that nobody can meet is
// refused at once. One that is not essential is none: the token says what the sign-in was (OIDC Core §5.5.1.1).
func readACRWish(wish *claimWish, r *domain.AuthRequest) error {
	if wish == nil || !wish.Essential {
		return nil
	}
	var values []string
	for _, raw := range append(slices.Clone(wish.Values), wish.Value) {
		var v string
		if raw != nil && json.Unmarshal(raw, &v) == nil {
			values = append(values, v)
		}
	}
	known := knownACR(slices.Clone(values))
	if len(values) > 0 && len(known) == 0 {
		return oauth.E(oauth.UnmetAuthentication, "No way of signing in here has one of the acr values that were asked for.")
	}
	if len(known) > 0 {
		r.ACR = known
	}
	return nil
}

// claimNames lists the names in order, so that the same request is the same row.
func claimNames(wishes map[string]*claimWish, c *domain.Client) []string {
	names := make([]string, 0, len(wishes))
	for name := range wishes {
		scope := domain.ClaimScope(name)
		if len(name) <= 64 && !strings.ContainsAny(name, " \t\n") && (scope == "" || slices.Contains(c.Scopes, scope)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), 32)]
}

func readLocales(f httpd.Form) []string {
	list := strings.Fields(f.Get("ui_locales"))
	return list[:min(len(list), maxLocales)]
}
