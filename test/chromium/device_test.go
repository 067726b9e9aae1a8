package chromium

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

// device is a television that shows a code.
type device struct {
	*site
	deviceCode, UserCode string
}

func (s *site) device(t *testing.T) *device {
	t.Helper()
	a := s.Post("/device_authorization", url.Values{"client_id": {harness.TVID}, "scope": {modest}})
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return &device{s, a.String("device_code"), a.String("user_code")}
}

func (d *device) polls() harness.Answer {
	d.Clock.Step(11 * time.Second)
	return d.Post("/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {harness.TVID}, "device_code": {d.deviceCode},
	})
}

func TestAPersonTypesTheCodeOfADevice(t *testing.T) {
	s := newSite(t)
	d, p := s.device(t), s.person(t, browser.Phone)
	p.Open(s.Issuer + "/device")
	p.Type("#user-code", "BCDF-GHJK")
	p.Click("#device-submit")
	p.Text("#user-code-error")
	p.Open(s.Issuer + "/device")
	p.Type("#user-code", strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " ")))
	p.Click("#device-submit")
	p.signsInWith("google", "alice")
	if !strings.Contains(p.Text("main"), d.UserCode) {
		t.Error("there is nothing to compare")
	}
	if a := d.polls(); a.Error() != "authorization_pending" {
		t.Errorf("before they agreed: %d %s", a.Status, a.Body)
	}
	p.Click("#consent-allow")
	p.Wait("#device-done")
	if a := d.polls(); a.Status != 200 || a.String("refresh_token") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	p.Reload()
	p.Wait("#device-done")
}

// DV05: a link with the code fills it in and no more; and no is no.
func TestALinkWithTheCodeOnlyFillsItIn(t *testing.T) {
	s := newSite(t)
	d, p := s.device(t), s.person(t, browser.Desktop)
	p.Open(s.Issuer + "/device?user_code=" + d.UserCode)
	p.Click("#user-code")
	p.Press("Enter")
	p.signsInWith("corp", "alice")
	p.Click("#consent-deny")
	p.Wait("#device-done")
	if a := d.polls(); a.Error() != "access_denied" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
