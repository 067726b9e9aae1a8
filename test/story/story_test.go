package story

import (
	"context"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

func TestAPhoneSignsInAndRefreshes(t *testing.T) {
	harness.Engines(t, func(t *testing.T, e harness.Engine) {
		w := harness.New(t, e)
		p := w.SignedIn("pixel", "1")
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(w.Log.String())
			}
		})
		a, err := p.Present(context.Background(), p.RefreshToken())
		if err != nil || a.Status != 200 {
			t.Fatal(a.Status, string(a.Body), err)
		}
	})
}
