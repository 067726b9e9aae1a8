package signon_test

import (
	"net/http"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

// DS08: whoever begins trips and never ends one fills no table, and keeps nobody who is signed in from anything.
func TestDS08TripsBegunFromOneAddressAreBounded(t *testing.T) {
	w := harness.New(t, harness.SQLite, harness.YAML("limits: {trips_per_minute: 5}"))
	known := w.Browser().Open(own().Path()).SignInWith(w.Corp, "corp", "alice")
	refused := 0
	for range 8 {
		if b := w.Browser().Open(web().Path()); b.Status == http.StatusTooManyRequests {
			refused++
			if b.Header.Get("Retry-After") == "" || !b.Has("error-page") {
				t.Errorf("%v\n%s", b.Header, b.Page)
			}
		}
	}
	if refused != 4 { // one of the five went to alice
		t.Errorf("%d of 8 were refused", refused)
	}
	if a := w.Post("/device_authorization", map[string][]string{"client_id": {harness.TVID}}); a.Status != http.StatusTooManyRequests {
		t.Errorf("a device: %d %s", a.Status, a.Body)
	}
	again := own()
	again.Code(known.Open(again.Path()))
}
