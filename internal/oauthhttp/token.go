package oauthhttp

import (
	"net/http"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/signin"
)

// token is POST /token (RFC 6749 §3.2, RFC 8693).
func (d *Door) token(w http.ResponseWriter, r *http.Request) {
	form, err := httpd.DecodeForm(r, "resource", "audience")
	if err != nil {
		refuse(w, r, err)
		return
	}
	answer, err := d.Grant.Token(r.Context(), grant.Request{
		Credentials: credentials(r, form),
		Proofs:      r.Header["Dpop"],
		URL:         httpd.Base(r, d.Issuer) + pathToken,
		GrantType:   form.Get("grant_type"),
		Scope:       form.Get("scope"),
		Resource:    form.All("resource"),
		Details:     form.Get("authorization_details"),

		RefreshToken: form.Get("refresh_token"),

		Code:         form.Get("code"),
		CodeVerifier: form.Get("code_verifier"),
		RedirectURI:  form.Get("redirect_uri"),
		DeviceCode:   form.Get("device_code"),

		SubjectToken:       form.Get("subject_token"),
		SubjectTokenType:   form.Get("subject_token_type"),
		ActorToken:         form.Get("actor_token"),
		ActorTokenType:     form.Get("actor_token_type"),
		RequestedTokenType: form.Get("requested_token_type"),
		Audience:           form.All("audience"),
		Nonce:              form.Get("nonce"),
		DeviceName:         form.Get("device_name"),
		ProviderCode:       form.Get("provider_code"),
		User:               form.Get("user"),
	})
	if err != nil {
		refuse(w, r, err)
		return
	}
	w.Header()["Pragma"] = []string{"no-cache"} // RFC 6749 §5.1 asks for it beside no-store
	httpd.WriteJSON(w, r, http.StatusOK, answer)
}

// challenge is POST /challenge: a nonce of ours for the provider's SDK (DESIGN section 4).
func (d *Door) challenge(w http.ResponseWriter, r *http.Request) {
	form, client, err := d.sender(r, nil)
	if err != nil {
		refuse(w, r, err)
		return
	}
	if err := d.SignIn.Usable(r.Context(), client); err != nil {
		refuse(w, r, err)
		return
	}
	purpose := signin.Purpose(form.Get("purpose"))
	if purpose == "" {
		purpose = signin.PurposeSignIn
	}
	nonce, err := d.SignIn.Challenge(d.DB.Now(), client.ID, form.Get("dpop_jkt"), purpose)
	if err != nil {
		refuse(w, r, err)
		return
	}
	httpd.WriteJSON(w, r, http.StatusOK, challengeAnswer{Nonce: nonce, ExpiresIn: int64(signin.NonceTTL.Seconds())})
}

type challengeAnswer struct {
	Nonce     string `json:"nonce"`
	ExpiresIn int64  `json:"expires_in"`
}
