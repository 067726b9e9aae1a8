package standin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"testing"
	"time"
)

func TestWhatCountsAsAnAnswer(t *testing.T) { // C2, C21
	const json, html = "application/json", "text/html; charset=utf-8"
	tests := map[string]struct {
		status          int
		kind, body      string
		counts, decides bool
	}{
		"a token answer":                   {200, json, `{"access_token":"a"}`, true, true},
		"with a charset":                   {200, "Application/JSON;charset=UTF-8", `{}`, true, true},
		"a refusal":                        {400, json, `{"error":"invalid_grant"}`, true, true},
		"a problem":                        {409, "application/problem+json", `{"title":"t"}`, true, true},
		"an empty 200 of /revoke":          {200, "", "", true, true},
		"an empty 204 of DELETE":           {204, "", "", true, true},
		"a bare challenge":                 {401, "", "", true, true},
		"the page of a hotel network":      {200, html, "<html>Welcome</html>", false, false},
		"its page with status 400":         {400, html, "<html>Welcome</html>", false, false},
		"a redirect":                       {302, json, `{}`, false, false},
		"an empty 400":                     {400, "", "", false, false},
		"JSON cut short":                   {200, json, `{"access_token":"a`, false, false},
		"JSON under another name":          {200, "text/plain", `{}`, false, false},
		"a fault of the server":            {500, json, `{"error":"server_error"}`, true, false},
		"a server that cannot answer now":  {503, json, `{"error":"temporarily_unavailable"}`, true, false},
		"a server that is asked too often": {429, json, `{"error":"slow_down"}`, true, false},
		"the page of a gateway":            {502, html, "<html>Bad gateway</html>", false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if test.kind != "" {
				header.Set("Content-Type", test.kind)
			}
			a := readAnswer(test.status, header, []byte(test.body))
			if a.counts() != test.counts || a.decides() != test.decides {
				t.Errorf("counts %v, decides %v; want %v, %v", a.counts(), a.decides(), test.counts, test.decides)
			}
		})
	}
}

func TestReadingChallenges(t *testing.T) {
	tests := map[string]map[string]string{
		`DPoP error="use_dpop_nonce", error_description="Use a nonce"`:   {"error": "use_dpop_nonce", "error_description": "Use a nonce"},
		`Bearer error="insufficient_user_authentication", max_age="300"`: {"error": "insufficient_user_authentication", "max_age": "300"},
		`DPoP error="a, b=\"c\"",algs="ES256"`:                           {"error": `a, b="c"`, "algs": "ES256"},
		`Bearer realm=countersign, error=invalid_token`:                  {"realm": "countersign", "error": "invalid_token"},
		`Bearer realm="countersign"`:                                     {"realm": "countersign"},
		`DPoP`:                                                           {},
		``:                                                               {},
		`Bearer error="unfinished`:                                       {"error": "unfinished"},
		`DPoP error="invalid_token", error_description="It has expired.", algs="ES256 RS"`: {"error": "invalid_token", "error_description": "It has expired.", "algs": "ES256 RS"},
	}
	for challenge, want := range tests {
		if got := challengeParams(challenge); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", challenge, got, want)
		}
	}
	header := http.Header{"Www-Authenticate": {
		`Bearer realm="countersign"`, `DPoP error="insufficient_user_authentication", max_age="300"`,
	}}
	if a := readAnswer(http.StatusUnauthorized, header, nil); a.Error != codeInsufficientAuth || a.MaxAge != 5*time.Minute {
		t.Errorf("two challenges: %q, %s", a.Error, a.MaxAge)
	}
}

func TestPausesGrowAndTheServersWishComesFirst(t *testing.T) { // C21
	var b backoff
	for i, seconds := range []int{0, 1, 2, 4, 8, 16, 30, 30} {
		most := time.Duration(seconds) * time.Second
		if got := b.next(nil); got > most || got < most/2 {
			t.Errorf("pause %d: %s, want %s shortened by up to half", i, got, most)
		}
	}
	busy := readAnswer(http.StatusServiceUnavailable, http.Header{"Retry-After": {"7"}}, nil)
	if got := b.next(busy); got != 7*time.Second {
		t.Errorf("with Retry-After 7: %s", got)
	}
	for _, odd := range []string{"-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"} {
		if d, ok := (&Answer{Header: http.Header{"Retry-After": {odd}}}).RetryAfter(); ok {
			t.Errorf("Retry-After %q: %s", odd, d)
		}
	}
}

func TestAddressesInProofs(t *testing.T) { // C5
	for address, want := range map[string]string{
		"https://login.example/token":         "https://login.example/token",
		"https://api.example/todos?done=1":    "https://api.example/todos",
		"https://api.example/todos#top":       "https://api.example/todos",
		"https://api.example/todos?a=b#c?d=e": "https://api.example/todos",
	} {
		if got := htu(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
	if a, b := origin("https://a.example/x?y"), origin("https://a.example:8443/x"); a != "https://a.example" || a == b {
		t.Errorf("origins %s, %s", a, b)
	}
}

func TestAnAccessTokenIsUsedUntilItHasThirtySecondsLeft(t *testing.T) { // C7, C17
	m, got := startProcess(), time.Now()
	m.keepAccessToken("", Tokens{AccessToken: "a", ExpiresIn: 300}, got)
	if _, ok := m.accessToken("", got.Add(270*time.Second)); !ok {
		t.Error("refused with thirty seconds left")
	}
	if _, ok := m.accessToken("", got.Add(271*time.Second)); ok {
		t.Error("used with less than thirty seconds left")
	}
	if _, ok := m.accessToken("https://other.example", got); ok {
		t.Error("used for another resource") // C25
	}
	m.forgetAccessToken("", "an older one")
	if _, ok := m.accessToken("", got); !ok {
		t.Error("a newer token was forgotten for an older one")
	}
	m.forgetAccessToken("", "a")
	if _, ok := m.accessToken("", got); ok {
		t.Error("not forgotten")
	}
}

func TestStorageTakesNothingFromTheDeadAndNothingWhenFull(t *testing.T) { // C16
	var d disk
	alive, dead := startProcess(), startProcess()
	dead.cancel(ErrKilled)
	put := func(token string) func(*record) { return func(r *record) { r.RefreshToken = token } }
	if err := d.write(alive, put("one")); err != nil {
		t.Fatal(err)
	}
	if err := d.write(dead, put("two")); !errors.Is(err, ErrKilled) {
		t.Errorf("a dead process: %v", err)
	}
	d.fill(true)
	if err := d.write(alive, put("three")); !errors.Is(err, ErrDiskFull) {
		t.Errorf("a full disk: %v", err)
	}
	if got := d.read().RefreshToken; got != "one" {
		t.Errorf("storage holds %q", got)
	}
}

// stranded is a phone whose network loses everything: what a phone does when no server is ever heard.
func stranded(t *testing.T, change func(*PhoneConfig)) (*Phone, *[]Event) {
	t.Helper()
	network, err := NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	network.Offline(true)
	var events []Event
	c := PhoneConfig{
		Issuer: "http://login.example", ClientID: "com.example.todo", HTTPClient: network.Client(),
		Pause:   func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Observe: func(e Event) { events = append(events, e) },
	}
	if change != nil {
		change(&c)
	}
	phone, err := NewPhone(c)
	if err != nil {
		t.Fatal(err)
	}
	return phone, &events
}

func TestAPhoneWithoutANetworkStaysSignedIn(t *testing.T) { // C21
	phone, events := stranded(t, nil)
	phone.PlantRefreshToken("the token")
	if _, err := phone.Refresh(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("refresh: %v", err)
	}
	if phone.RefreshToken() != "the token" {
		t.Errorf("storage holds %q", phone.RefreshToken())
	}
	sent, waited := 0, time.Duration(0)
	for _, e := range *events {
		waited += e.Wait
		if e.What == Sent {
			sent++
			if e.Presented != "the token" {
				t.Errorf("sent %q", e.Presented)
			}
		}
	}
	// 0, 1, 2, 4, 8, 16, 30, … seconds, each shortened by up to half, in a minute.
	if sent < 7 || sent > 9 || waited > defaultPatience {
		t.Errorf("%d attempts, %s of pauses", sent, waited)
	}
}

func TestSigningOutNeedsNoNetwork(t *testing.T) { // C30
	phone, _ := stranded(t, nil)
	phone.PlantRefreshToken("the token")
	if err := phone.SignOut(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("sign out: %v", err)
	}
	if phone.SignedIn() {
		t.Error("still signed in")
	}
	if revoke := phone.device.disk.read().Revoke; len(revoke) != 1 || revoke[0] != "the token" {
		t.Errorf("to be revoked: %v", revoke)
	}
	if _, err := phone.Refresh(t.Context()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("refresh: %v", err)
	}
}

func TestAKilledAppKeepsItsStorageAndNothingElse(t *testing.T) { // C15
	var phone *Phone
	phone, _ = stranded(t, func(c *PhoneConfig) {
		c.Observe = func(e Event) {
			if e.What == Sent {
				phone.Kill()
			}
		}
	})
	phone.PlantRefreshToken("the token")
	if _, err := phone.Refresh(t.Context()); !errors.Is(err, ErrKilled) {
		t.Errorf("the call it died in: %v", err)
	}
	if _, err := phone.Refresh(t.Context()); !errors.Is(err, ErrKilled) {
		t.Errorf("a call to a dead app: %v", err)
	}
	jkt := phone.JKT()
	phone.Start()
	if !phone.SignedIn() || phone.JKT() != jkt || jkt == "" {
		t.Error("storage or key is gone")
	}
}

func TestOneProcessAtATime(t *testing.T) { // C18
	phone, _ := stranded(t, nil)
	extension := phone.Extension()
	phone.PlantRefreshToken("the token")
	phone.device.lock <- struct{}{} // somebody is refreshing
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := extension.Refresh(ctx); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("tired of waiting: %v", err)
	}
	extension.Kill()
	phone.Reboot()
	<-phone.device.lock
	if _, err := extension.Refresh(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after the reboot: %v", err)
	}
}

func TestAPhoneNeedsAnIssuerAndAClient(t *testing.T) {
	for _, c := range []PhoneConfig{
		{ClientID: "c"}, {Issuer: "https://login.example"}, {Issuer: "https://login.example/", ClientID: "c"},
	} {
		if _, err := NewPhone(c); err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
	phone, err := NewPhone(PhoneConfig{Issuer: "https://login.example", ClientID: "c", Bearer: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := phone.Proof(http.MethodPost, "https://login.example/token", "", ""); err == nil || phone.JKT() != "" {
		t.Error("a bearer phone has a key")
	}
}
