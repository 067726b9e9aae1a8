package accesstoken

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/countersign/countersign/internal/jose"
)

// rfc8725-3.2-02, rfc9068-4-04: sound claims under the kid of a published key are worth nothing without its signature.
func TestUnsecuredTokensAreRefused(t *testing.T) {
	claims, err := json.Marshal(payload())
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for name, alg := range map[string]string{
		"none": `"none"`, "none in another case": `"NONE"`, "no text": `null`, "empty": `""`, "ES256 without a signature": `"ES256"`,
	} {
		t.Run(name, func(t *testing.T) {
			header := `{"alg":` + alg + `,"typ":"at+jwt","kid":"kid-ES256"}`
			wantInvalid(t, checker(), b64([]byte(header))+"."+b64(claims)+".")
		})
	}
}

// rfc7519-4-02
func TestClaimsNobodyKnowsAreIgnored(t *testing.T) {
	claims := payload()
	claims["https://example.com/plan"] = map[string]any{"name": "gold", "since": 2019}
	claims["groups"] = []string{"admins"}
	claims["nonsense"] = nil
	with, err := checker().Check(t.Context(), sign(t, jose.ES256, "at+jwt", claims), now)
	if err != nil {
		t.Fatal(err)
	}
	if with.Subject != "acc_AAAAAAAAAAAAAAAAAAAAAA" || len(with.Scope) != 2 {
		t.Errorf("%+v", with)
	}
}
