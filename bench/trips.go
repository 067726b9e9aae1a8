package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/standin"
)

// web is what the loads of the browser flows need: browsers that are signed in, codes to be redeemed, devices that wait.
type web struct {
	host    string
	cookies []string // of single sign-on
	devices []string
	codes   []string
	page    string // the path of a trip's login page
	visitor string // its cookie
	next    *atomic.Int64
}

const (
	signedIn = 16 // browsers
	waiting  = 256
	verifier = "bench-verifier-0123456789-0123456789-0123456789"
)

// openWeb signs browsers in at the provider and lets devices ask.
func openWeb(ctx context.Context, t *target, corp *standin.Provider) (web, error) {
	w := web{host: hostOf(t.issuer), next: &atomic.Int64{}}
	err := corp.Register(standin.Application{
		ClientID: "bench", Secret: resourceSecret, RedirectURIs: []string{t.issuer + "/federation/corp/callback"},
	})
	for n := 0; n < signedIn && err == nil; n++ {
		var cookie string
		cookie, err = signBrowserIn(ctx, t.issuer, corp, fmt.Sprintf("person%d", n))
		w.cookies = append(w.cookies, cookie)
	}
	if err == nil {
		w.page, w.visitor, err = openLogin(ctx, t.issuer)
	}
	if err != nil {
		return w, fmt.Errorf("sign a browser in: %w", err)
	}
	w.devices = make([]string, waiting)
	return w, each(t.addr, waiting, func(c *conn, i int) error {
		status, body, err := c.post(w.host, "/device_authorization", "client_id=todo-tv&scope=openid+todos.read")
		if err := ok200(status, body, err); err != nil {
			return err
		}
		w.devices[i], _ = member(body, "device_code")
		return nil
	})
}

// authorizePath is the request of a client whose person is signed in.
var authorizePath = "/authorize?" + url.Values{
	"response_type": {"code"}, "client_id": {"todo-spa"}, "redirect_uri": {"https://todo.example/cb"},
	"scope": {"openid offline_access todos.read"}, "state": {"0123456789abcdef"}, "nonce": {"fedcba9876543210"},
	"code_challenge": {oauth.Challenge(verifier)}, "code_challenge_method": {"S256"},
}.Encode()

var flowField = regexp.MustCompile(`name="flow" value="([^"]+)"`)

// signBrowserIn goes the way of a person once and returns the cookie it ends with.
func signBrowserIn(ctx context.Context, issuer string, corp *standin.Provider, who string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	stay := func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), issuer) {
			return nil
		}
		return http.ErrUseLastResponse
	}
	browser := &http.Client{Jar: jar, CheckRedirect: stay, Timeout: 10 * time.Second}
	page, _, err := fetch(ctx, browser, http.MethodGet, issuer+authorizePath, nil)
	if err != nil {
		return "", err
	}
	m := flowField.FindSubmatch(page)
	if m == nil {
		return "", errors.New("no login page")
	}
	_, away, err := fetch(ctx, browser, http.MethodPost, issuer+"/federation/corp/start", url.Values{"flow": {string(m[1])}})
	if err != nil {
		return "", err
	}
	back, err := corp.SignInAt(ctx, nil, away, who)
	if err != nil {
		return "", err
	}
	if _, _, err := fetch(ctx, browser, http.MethodGet, back.URL.String(), nil); err != nil {
		return "", err
	}
	at, err := url.Parse(issuer)
	if err != nil {
		return "", err
	}
	for _, c := range jar.Cookies(at) {
		if c.Name == "cs_session" {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", errors.New("no cookie of single sign-on")
}

// openLogin begins a trip and stays on its login page.
func openLogin(ctx context.Context, issuer string) (path, cookie string, err error) {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+authorizePath, http.NoBody)
	if err != nil {
		return "", "", err
	}
	res, err := (&http.Client{CheckRedirect: stay, Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = res.Body.Close() }()
	for _, c := range res.Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return res.Header.Get("Location"), cookie, nil
}

func (ph *phones) visitor() step {
	return func(c *conn, _ int) error {
		return ok200(c.get(ph.web.host, ph.web.page, header{"Cookie", ph.web.visitor}))
	}
}

func (ph *phones) bareVisitor() step {
	return func(c *conn, _ int) error { return ok200(c.get(ph.ceiling, "/page")) }
}

func fetch(ctx context.Context, browser *http.Client, method, to string, form url.Values) (page []byte, location string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := browser.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	page, err = io.ReadAll(res.Body)
	if res.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %d", method, r.URL.Path, res.StatusCode)
	}
	return page, res.Header.Get("Location"), err
}

// askForCode is the trip of a browser that is signed in: one request.
func (w *web) askForCode(c *conn, n int) (string, error) {
	status, body, err := c.get(w.host, authorizePath, header{"Cookie", w.cookies[n%len(w.cookies)]})
	if err != nil || status != http.StatusSeeOther {
		return "", fmt.Errorf("authorize: %d %s %w", status, body, err)
	}
	_, rest, _ := strings.Cut(string(c.to), "code=")
	code, _, ok := strings.Cut(rest, "&")
	if !ok {
		return "", fmt.Errorf("authorize: no code in %s", c.to)
	}
	return code, nil
}

func (ph *phones) authorizer(n int) step {
	return func(c *conn, _ int) error {
		_, err := ph.web.askForCode(c, n)
		return err
	}
}

func (ph *phones) bareAuthorizer(int, int) step {
	return func(c *conn, _ int) error {
		status, body, err := c.get(ph.ceiling, strings.Replace(authorizePath, "/authorize", "/trip", 1))
		if err != nil || status != http.StatusSeeOther {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	}
}

// codesFor prepares about as many codes as a run can use. They live for a minute.
func (ph *phones) codesFor(conns int, d time.Duration) error {
	perSecond := 4000
	if conns == 1 {
		perSecond = 1200
	}
	ph.web.codes = make([]string, int(d.Seconds()*float64(perSecond)))
	ph.web.next.Store(0)
	return each(ph.t.addr, len(ph.web.codes), func(c *conn, i int) (err error) {
		ph.web.codes[i], err = ph.web.askForCode(c, i)
		return err
	})
}

func (ph *phones) redeemer() step {
	form := "grant_type=authorization_code&client_id=todo-spa&code_verifier=" + verifier +
		"&redirect_uri=" + url.QueryEscape("https://todo.example/cb") + "&code="
	return func(c *conn, _ int) error {
		i := int(ph.web.next.Add(1)) - 1
		if i >= len(ph.web.codes) {
			return errUsedUp
		}
		return ok200(c.post(ph.web.host, "/token", form+ph.web.codes[i]))
	}
}

const pollForm = "grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=todo-tv&device_code="

// poller asks far too often, as a device must not: being told to slow down costs the same as being told to wait.
func (ph *phones) poller(n int) step {
	return func(c *conn, i int) error {
		status, body, err := c.post(ph.web.host, "/token", pollForm+ph.web.devices[(n+i*64)%waiting])
		if code, _ := member(body, "error"); err != nil || status != http.StatusBadRequest || (code != "slow_down" && code != "authorization_pending") {
			return fmt.Errorf("poll: %d %s %w", status, body, err)
		}
		return nil
	}
}

func (ph *phones) barePoller(n int) step {
	return func(c *conn, i int) error {
		return ok200(c.post(ph.ceiling, "/poll", pollForm+ph.web.devices[(n+i*64)%waiting]))
	}
}
