package resource_test

import (
	"encoding/json"
	"testing"

	"github.com/countersign/countersign/resource"
)

func TestATokensDetailsAreFoundByTheirType(t *testing.T) {
	token := &resource.Token{Details: json.RawMessage(`[{"type":"payment","amount":1},{"type":"balance"},{"type":"payment","amount":2}]`)}
	got := token.DetailsOf("payment")
	if len(got) != 2 || string(got[0]) != `{"type":"payment","amount":1}` || string(got[1]) != `{"type":"payment","amount":2}` {
		t.Errorf("%s", got)
	}
	for _, typ := range []string{"", "Payment", "pay"} {
		if got := token.DetailsOf(typ); len(got) != 0 {
			t.Errorf("%q: %s", typ, got)
		}
	}
	if got := new(resource.Token).DetailsOf("payment"); got != nil {
		t.Errorf("%s", got)
	}
}
