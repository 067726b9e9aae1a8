package trip

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

// PX01: addresses are built from the issuer. Who lies about the host gets no address with the lie in it.
func TestALyingHostChangesNoAddress(t *testing.T) { // PX01
	w := harness.New(t, harness.SQLite)
	lie := func(r *http.Request) {
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("Forwarded", "host=evil.example;proto=https")
	}
	honest := func(name string, a harness.Answer) {
		t.Helper()
		if strings.Contains(string(a.Body), "evil.example") || strings.Contains(a.Header.Get("Location"), "evil.example") {
			t.Errorf("%s: Location %q\n%s", name, a.Header.Get("Location"), a.Body)
		}
	}
	trip := harness.NewTrip(harness.WebID, webRedirect, "openid")
	began := w.Do(w.Request("GET", trip.Path(), "", lie))
	honest("/authorize", began)
	cookie, path := began.Header.Get("Set-Cookie"), began.Header.Get("Location")
	if began.Status != http.StatusSeeOther || !strings.HasPrefix(path, "/login?flow=") {
		t.Fatalf("%d %s", began.Status, path)
	}
	keep := func(r *http.Request) { r.Header.Set("Cookie", strings.Split(cookie, ";")[0]) }
	honest("/login", w.Do(w.Request("GET", path, "", lie, keep)))
	start := w.Do(w.Request("POST", "/federation/google/start", "flow="+strings.TrimPrefix(path, "/login?flow="), lie, keep, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}))
	honest("/federation/google/start", start)
	if !strings.Contains(start.Header.Get("Location"), "redirect_uri=http%3A%2F%2Flocalhost") {
		t.Errorf("%d %s", start.Status, start.Header.Get("Location"))
	}
	honest("/device", w.Do(w.Request("GET", "/device", "", lie)))
	honest("/logout", w.Do(w.Request("GET", "/logout", "", lie)))
	honest("metadata", w.Do(w.Request("GET", "/.well-known/openid-configuration", "", lie)))
	device := w.Post("/device_authorization", map[string][]string{"client_id": {harness.TVID}}, lie)
	honest("/device_authorization", device)
	if !strings.HasPrefix(device.String("verification_uri_complete"), w.Issuer+"/device?") {
		t.Errorf("%s", device.Body)
	}
}
