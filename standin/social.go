package standin

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

// hs256 is RFC 7518 §3.2: how LINE signs for the web.
func hs256(secret, input string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// lineMethods is amr: a browser that was known already did nothing, and LINE says so.
func (p *Provider) lineMethods(r *http.Request) []string {
	if r.Method == http.MethodGet {
		return []string{"linesso"}
	}
	return []string{"pwd"}
}

// graphError is how Facebook's Graph API says no: an object with a number, which is no RFC 6749 §5.2.
func graphError(w http.ResponseWriter, code string) {
	number, message := 100, "Invalid verification code format."
	switch code {
	case "invalid_client":
		number, message = 1, "Error validating client secret."
	case "invalid_token":
		number, message = 190, "Invalid OAuth access token."
	case "invalid_proof":
		message = "API calls from the server require an appsecret_proof argument"
	}
	writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{
		"message": message, "type": "OAuthException", "code": number, "fbtrace_id": randomText(8),
	}})
}

// serveFacebookMe wants the proof that the caller knows the app's secret, as an app has it set at Facebook ("Require app
// secret"). It says no more than fields names, and no address of people who have none.
func (p *Provider) serveFacebookMe(w http.ResponseWriter, r *http.Request) {
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	g, ok := p.web.tokens[token]
	p.mu.Unlock()
	if !isBearer || !ok {
		graphError(w, "invalid_token")
		return
	}
	proof := hex.EncodeToString(hs256(g.app.Secret, token))
	if !hmac.Equal([]byte(proof), []byte(r.URL.Query().Get("appsecret_proof"))) {
		graphError(w, "invalid_proof")
		return
	}
	known := map[string]any{
		"name": g.person.Name, "first_name": g.person.GivenName, "last_name": g.person.FamilyName,
		"picture": map[string]any{"data": map[string]any{
			"url": g.person.Picture, "height": 50, "width": 50, "is_silhouette": g.person.Picture == "",
		}},
	}
	if g.person.Email != "" && slices.Contains(g.scope, "email") {
		known["email"] = g.person.Email
	}
	answer := map[string]any{"id": cmp.Or(p.mischief().UserSubject, g.person.Subject)}
	for name := range strings.SplitSeq(r.URL.Query().Get("fields"), ",") {
		if value, there := known[name]; there {
			answer[name] = value
		}
	}
	p.sayUser(w, answer)
}

// serveDiscordUser: the id is a text, and so is the discriminator that nobody has any more.
func (p *Provider) serveDiscordUser(w http.ResponseWriter, r *http.Request) {
	g, ok := p.whose(w, r)
	if !ok {
		return
	}
	answer := map[string]any{
		"id": cmp.Or(p.mischief().UserSubject, g.person.Subject), "username": g.person.Username, "global_name": g.person.Name,
		"discriminator": "0", "avatar": nil, "locale": cmp.Or(g.person.Locale, "en-US"),
	}
	if slices.Contains(g.scope, "email") {
		answer["email"], answer["verified"] = nil, false
		if g.person.Email != "" {
			answer["email"], answer["verified"] = g.person.Email, !g.person.UnverifiedEmail
		}
	}
	p.sayUser(w, answer)
}

func (p *Provider) sayUser(w http.ResponseWriter, answer map[string]any) {
	if change := p.mischief().User; change != nil {
		change(answer)
	}
	writeJSON(w, http.StatusOK, answer)
}
