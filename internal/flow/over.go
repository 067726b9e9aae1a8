package flow

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// over tells what to do with a trip that is at its end: a reload, the back button or a second tab never meets a wall, but
// the next sensible step (the same trip anew, as the client asked for it).
func (s *Service) over(t *trip) *Outcome {
	var err *oauth.Error
	key := "error.flow_done"
	switch {
	case t.flow.State == domain.FlowRefused && t.flow.Kind == domain.FlowDevice:
		return &Outcome{Device: &DeviceDone{Shown: t.shown()}}
	case t.flow.State == domain.FlowRefused:
		err = oauth.E(oauth.AccessDenied, "This sign-in was cancelled.")
		key = ""
	case t.flow.State == domain.FlowGranted, t.flow.State == domain.FlowRedeemed:
		if t.flow.Kind == domain.FlowDevice {
			return &Outcome{Device: &DeviceDone{Shown: t.shown(), Allowed: true}}
		}
		err = oauth.E(oauth.InvalidRequest, "This sign-in is already finished.")
	case t.flow.Expired(t.now):
		err = oauth.E(oauth.InvalidRequest, "This sign-in took too long and has expired.")
		key = "error.flow_expired"
	default:
		return nil
	}
	p := &Problem{Shown: t.shown(), Err: err, Key: key}
	if t.flow.Kind == domain.FlowAuthorize && t.flow.Request.Pushed.IsZero() && !t.client.MustPush() && !t.client.MustSignRequest() {
		p.Restart = restartPath(t.flow.Request) // empty where it could not be asked once more
	}
	return &Outcome{Problem: p}
}

// restartPath asks for the same once more; empty where that would be longer than we take.
func restartPath(r domain.AuthRequest) string {
	claims := claimsAgain(r)
	if len(claims) > maxClaims {
		return ""
	}
	q := url.Values{"response_type": {oauth.ResponseCode}, "client_id": {r.ClientID}, "redirect_uri": {r.RedirectURI}}
	for name, value := range map[string]string{
		"state": r.State, "nonce": r.Nonce, "code_challenge": r.Challenge, "scope": oauth.JoinScope(r.Scope),
		"prompt": strings.Join(r.Prompt, " "), "acr_values": strings.Join(r.ACR, " "), "login_hint": r.LoginHint,
		"ui_locales": strings.Join(r.Locales, " "), "dpop_jkt": r.DPoPJKT, "claims": claims,
		"authorization_details": string(r.Details),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if r.Challenge != "" {
		q.Set("code_challenge_method", oauth.MethodS256)
	}
	if r.ResponseMode != oauth.ResponseQuery {
		q.Set("response_mode", r.ResponseMode)
	}
	if r.MaxAge != nil {
		q.Set("max_age", strconv.FormatInt(*r.MaxAge, 10))
	}
	q["resource"] = r.Resources
	return "/authorize?" + q.Encode()
}

// claimsAgain is the claims parameter as it came, with the one person who may come back (id_token_hint is not kept, and
// may have expired): asking once more must not ask for less (OIDC Core §5.5.1, ATTACKS AZ24).
func claimsAgain(r domain.AuthRequest) string {
	if r.HintedSubject == "" {
		return r.ClaimsText
	}
	wishes, idToken := map[string]any{}, map[string]any{}
	if r.ClaimsText != "" {
		if err := json.Unmarshal([]byte(r.ClaimsText), &wishes); err != nil {
			return r.ClaimsText
		}
	}
	if asked, ok := wishes["id_token"].(map[string]any); ok {
		idToken = asked
	}
	idToken["sub"] = map[string]any{"value": r.HintedSubject}
	wishes["id_token"] = idToken
	text, err := json.Marshal(wishes)
	if err != nil {
		return r.ClaimsText
	}
	return string(text)
}

// lost answers for a trip nobody knows any more.
func lost() *Outcome {
	return &Outcome{Problem: &Problem{Key: "error.flow_expired", Err: oauth.E(oauth.InvalidRequest,
		"This sign-in is no longer known here. Go back to the app and start again.")}}
}

// altered answers a form that does not fit the page it should come from. Nothing changes (ATTACKS AZ37); the link shows
// the page as it is.
func (t *trip) altered() *Outcome {
	return &Outcome{Problem: &Problem{
		Shown: t.shown(), Reason: Altered, Restart: loginPath(t.flow.ID),
		Err: oauth.E(oauth.InvalidRequest, "This form is about something else than the page that was shown."),
	}}
}

// foreign answers a browser that did not begin the trip. Nothing changes (ATTACKS AZ38).
func foreign() *Outcome {
	return &Outcome{Problem: &Problem{Reason: Foreign, Key: "error.cookies", Err: oauth.E(oauth.InvalidRequest,
		"This sign-in was begun in another browser, or this browser refuses cookies. Go back to the app and start again.")}}
}
