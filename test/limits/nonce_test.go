package limits_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/test/harness"
)

// DP08: a nonce one node made stands in for the clock of a phone at the other, and whoever asks for one loses nothing.
func TestDP08ANonceOfTheOtherNodeIsGood(t *testing.T) {
	t.Parallel()
	w := &world{harness.New(t, harness.Postgres, harness.Nodes(2))}
	w.Clock.Freeze()
	key, err := dpop.NewProver()
	if err != nil {
		t.Fatal(err)
	}
	send := func(node int, nonce string, clock time.Duration) harness.Answer {
		proof, err := key.Proof(http.MethodPost, w.Issuer+"/token", nonce, "", w.Clock.Now().Add(clock))
		if err != nil {
			t.Fatal(err)
		}
		return w.Post("/token", url.Values{"grant_type": {"client_credentials"}}, harness.At(w.Nodes[node]),
			harness.Basic(harness.ServiceID, harness.ServiceSecret), harness.Set("DPoP", proof))
	}
	for _, from := range []int{0, 1} {
		asked := send(from, "", 2*time.Hour)
		nonce := asked.Header.Get("DPoP-Nonce")
		if asked.Status != http.StatusBadRequest || asked.Error() != "use_dpop_nonce" || nonce == "" {
			t.Fatalf("without a nonce: %d %v %s", asked.Status, asked.Header, asked.Body)
		}
		if a := send(1-from, nonce, 2*time.Hour); a.Status != http.StatusOK || a.String("token_type") != "DPoP" {
			t.Errorf("a nonce of node %d at the other: %d %s", from, a.Status, a.Body)
		}
	}
}
