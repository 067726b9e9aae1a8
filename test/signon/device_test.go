package signon_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// device is a television that asks for tokens.
type device struct {
	w     *harness.World
	began harness.Answer
}

func newDevice(t *testing.T, w *harness.World) device {
	t.Helper()
	began := w.Post("/device_authorization", url.Values{"client_id": {harness.TVID}, "scope": {"openid offline_access todos.read"}})
	if began.Status != http.StatusOK {
		t.Fatalf("%d %s", began.Status, began.Body)
	}
	return device{w, began}
}

func (d device) poll(mods ...func(*http.Request)) harness.Answer {
	return d.w.Post("/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {harness.TVID},
		"device_code": {d.began.String("device_code")},
	}, mods...)
}

func (d device) want(t *testing.T, code string) {
	t.Helper()
	if a := d.poll(); a.Status != http.StatusBadRequest || a.Error() != code {
		t.Errorf("got %d %s, want %s", a.Status, a.Body, code)
	}
}

// approve has somebody type the code and agree.
func (d device) approve(username string) *harness.Web {
	b := d.w.Browser().Open(d.began.String("verification_uri_complete")).Submit("device-submit")
	return b.SignInWith(d.w.Corp, "corp", username).Want("consent-form").Submit("consent-allow", "action", "allow")
}

// Guesses of user codes are counted for the address, by all nodes together; a good code is not looked at any more then.
func TestDV01UserCodesCannotBeGuessed(t *testing.T) {
	twoNodes(t, func(t *testing.T, w *harness.World) {
		d := newDevice(t, w)
		enter := func(i int, code string) *harness.Web {
			return w.Browser().Via(w.Nodes[i%2]).Open("/device").Submit("device-submit", "user_code", code)
		}
		for i := range 20 {
			if b := enter(i, "BBBB-BBBB"); b.Status != http.StatusOK || !b.Has("device-form") {
				t.Fatalf("%d: %d %s", i, b.Status, b.Page)
			}
		}
		for i := range 2 {
			if b := enter(i, d.began.String("user_code")); b.Status != http.StatusTooManyRequests || b.Header.Get("Retry-After") == "" {
				t.Errorf("node %d: %d %v", i, b.Status, b.Header)
			}
		}
		w.Clock.Step(time.Hour + time.Second)
		d = newDevice(t, w)
		if b := enter(0, strings.ToLower(strings.ReplaceAll(d.began.String("user_code"), "-", " "))); !b.Has("login-form") {
			t.Errorf("an hour later: %d %s", b.Status, b.Page)
		}
	})
}

// Whoever does not wait waits longer, for ever if need be; after its time the code is over.
func TestDV02WhoPollsTooFastWaitsLonger(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		w.Clock.Freeze()
		d := newDevice(t, w)
		d.want(t, "authorization_pending")
		d.want(t, "slow_down") // 10 s from now on
		w.Clock.Step(6 * time.Second)
		d.want(t, "slow_down") // 15 s
		w.Clock.Step(13 * time.Second)
		d.want(t, "slow_down") // 20 s
		w.Clock.Step(20 * time.Second)
		d.want(t, "authorization_pending")
		for range 50 {
			d.want(t, "slow_down")
		}
		w.Clock.Step(10 * time.Minute)
		for range 3 {
			d.want(t, "expired_token")
		}
		if b := w.Browser().Open("/device").Submit("device-submit", "user_code", d.began.String("user_code")); !b.Has("device-form") {
			t.Errorf("the user code is still good: %s", b.Page)
		}
	})
}

// Of fifty polls at once over two nodes one gets tokens.
func TestDV04AnApprovedCodeIsRedeemedOnce(t *testing.T) {
	twoNodes(t, func(t *testing.T, w *harness.World) {
		d := newDevice(t, w)
		d.approve("alice")
		var mu sync.Mutex
		var done sync.WaitGroup
		seen := map[int]int{}
		for i := range 50 {
			done.Go(func() {
				a := d.poll(harness.At(w.Nodes[i%2]))
				mu.Lock()
				defer mu.Unlock()
				seen[a.Status]++
				if a.Status != http.StatusOK && a.Error() != "slow_down" && a.Error() != "invalid_grant" {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		}
		done.Wait()
		if seen[200] != 1 || seen[200]+seen[400] != 50 || rows(t, w)["sessions"] != 1 {
			t.Errorf("%v, %v sessions", seen, rows(t, w)["sessions"])
		}
	})
}

// Nobody agrees for the person: not the link, not an earlier consent, not another site.
func TestDV05APersonAgreesToEveryDeviceThemselves(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		first := newDevice(t, w)
		first.approve("alice")
		if a := first.poll(); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		d := newDevice(t, w)
		b := w.Browser()
		trip := own()
		account(t, w, trip, b.Open(trip.Path()).SignInWith(w.Corp, "corp", "alice"))
		t.Run("the link fills the field", func(t *testing.T) {
			_, fields := b.Open(d.began.String("verification_uri_complete")).Form("device-submit")
			if fields.Get("user_code") != d.began.String("user_code") || b.At.Path != "/device" {
				t.Errorf("%v at %s", fields, b.At)
			}
			d.want(t, "authorization_pending")
		})
		t.Run("and they are asked, with the code before them", func(t *testing.T) {
			if b.Submit("device-submit").Want("consent-form"); !strings.Contains(b.Page, d.began.String("user_code")) {
				t.Errorf("no code: %s", b.Page)
			}
			w.Clock.Step(6 * time.Second)
			d.want(t, "authorization_pending")
		})
		t.Run("by this site alone", func(t *testing.T) {
			path, form := b.Form("consent-form")
			form.Set("action", "allow")
			for _, to := range []struct {
				path string
				form url.Values
			}{{path, form}, {"/device", url.Values{"user_code": {d.began.String("user_code")}}}} {
				for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
					r := w.Request(http.MethodPost, to.path, to.form.Encode(), harness.Set("Content-Type", "application/x-www-form-urlencoded"), harness.Set(name, value))
					if c := b.Copy().Send(r); c.Status != http.StatusForbidden {
						t.Errorf("%s with %s %s: %d", to.path, name, value, c.Status)
					}
				}
			}
			w.Clock.Step(6 * time.Second)
			d.want(t, "authorization_pending")
		})
		t.Run("and in one browser", func(t *testing.T) {
			c := w.Browser().Open(d.began.String("verification_uri_complete")).Submit("device-submit")
			if c.Status != http.StatusBadRequest {
				t.Errorf("%d %s", c.Status, c.Page)
			}
		})
		t.Run("their no is a no", func(t *testing.T) {
			b.Submit("consent-deny", "action", "deny")
			w.Clock.Step(6 * time.Second)
			d.want(t, "access_denied")
		})
	})
}

func TestDV05AnAccountDisabledBeforeThePollGetsNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, w *harness.World) {
		who := byProvider(t, w, w.Corp, "corp", "alice")
		d := newDevice(t, w)
		d.approve("alice")
		if _, err := w.Admin().DisableAccount(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		d.want(t, "access_denied")
		w.Clock.Step(6 * time.Second)
		d.want(t, "access_denied")
	})
}
