package accesstoken

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/jose"
)

// rfc9396-9.1-01
func TestTheDetailsOfATokenAreReadAsTheyStand(t *testing.T) {
	large := `[{"note":"` + strings.Repeat("x", 8000) + `","type":"payment"}]`
	for name, details := range map[string]string{
		"numbers keep their digits": `[{"amount":1.50,"big":12345678901234567890,"type":"payment"}]`, "8 KiB": large, "none of them": `[]`,
	} {
		claims := payload()
		claims["authorization_details"] = json.RawMessage(details)
		got, err := checker().Check(t.Context(), sign(t, jose.ES256, "at+jwt", claims), now)
		if err != nil || string(got.Details) != details {
			t.Errorf("%s: %.200s %v", name, got.Details, err)
		}
	}
	for name, details := range map[string]string{
		"an object": `{"type":"payment"}`, "texts": `["payment"]`, "null": `null`, "a text": `"[]"`, "larger than any of ours": `[{"x":"` + strings.Repeat("x", 16<<10) + `"}]`,
		"in two spellings": `[{"type":"a","Type":"b"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			claims := payload()
			claims["authorization_details"] = json.RawMessage(details)
			wantInvalid(t, checker(), sign(t, jose.ES256, "at+jwt", claims))
		})
	}
}
