package standin

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const maxPage = 64 << 10

// SignInAt walks an authorization as a person with a browser would: it follows authorizeURL, types the user name where
// the form asks for one and allows. It returns the request the browser would then send to the client: a GET of its
// redirect URI or, from Apple, a POST to it. Nobody has sent it yet: do so with the browser that has the client's
// cookies, or read it with [ReadCallback]. browser needs a cookie jar only to be known here at its next visit; nil is a
// fresh browser without one. An error tells that the provider refused to send the browser anywhere.
func (p *Provider) SignInAt(ctx context.Context, browser *http.Client, authorizeURL, username string) (*http.Request, error) {
	return p.walk(ctx, browser, authorizeURL, url.Values{"username": {username}, "decision": {"allow"}})
}

// DenyAt is SignInAt for a person who cancels.
func (p *Provider) DenyAt(ctx context.Context, browser *http.Client, authorizeURL string) (*http.Request, error) {
	return p.walk(ctx, browser, authorizeURL, url.Values{"decision": {decisionDeny}})
}

// ReadCallback returns the parameters of a request that SignInAt returned, which stays as it was.
func ReadCallback(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return url.ParseQuery(r.URL.RawQuery)
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(io.LimitReader(body, maxPage))
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	return url.ParseQuery(string(text))
}

func (p *Provider) walk(ctx context.Context, browser *http.Client, authorizeURL string, typed url.Values) (*http.Request, error) {
	own := http.Client{}
	if browser != nil {
		own = *browser
	}
	// Where the provider sends the browser is what the caller wants to know: it is not followed.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizeURL, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("sign in at the stand-in: %w", err)
	}
	at, err := visit(&own, r)
	if err != nil {
		return nil, err
	}
	if f, ok := findForm(at.page, "standin-login"); ok {
		for name, values := range typed {
			f.fields[name] = values
		}
		if r, err = post(ctx, p.URL()+f.action, f.fields); err != nil {
			return nil, err
		}
		if at, err = visit(&own, r); err != nil {
			return nil, err
		}
	}
	if f, ok := findForm(at.page, "standin-return"); ok {
		return post(ctx, f.action, f.fields)
	}
	if at.status != http.StatusSeeOther || at.leadsTo == "" {
		return nil, fmt.Errorf("sign in at the stand-in: status %d: %w", at.status, errorOn(at.page))
	}
	if r, err = http.NewRequestWithContext(ctx, http.MethodGet, at.leadsTo, http.NoBody); err != nil {
		return nil, fmt.Errorf("sign in at the stand-in: %w", err)
	}
	return r, nil
}

func post(ctx context.Context, target string, form url.Values) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("sign in at the stand-in: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r, nil
}

// place is where a browser is.
type place struct {
	status  int
	leadsTo string
	page    string
}

func visit(browser *http.Client, r *http.Request) (place, error) {
	answer, err := browser.Do(r)
	if err != nil {
		return place{}, fmt.Errorf("sign in at the stand-in: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxPage))
	if err != nil {
		return place{}, fmt.Errorf("sign in at the stand-in: %w", err)
	}
	return place{answer.StatusCode, answer.Header.Get("Location"), string(body)}, nil
}

// form is one of our own pages: what a browser would send of it.
type form struct {
	action string
	fields url.Values
}

// Our own templates write these, and nothing else does.
var (
	formTag   = regexp.MustCompile(`<form id="([^"]*)" method="post" action="([^"]*)">`)
	hiddenTag = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	errorTag  = regexp.MustCompile(`<p id="standin-error">([^<]*)</p>`)
)

func findForm(page, id string) (form, bool) {
	tag := formTag.FindStringSubmatch(page)
	if len(tag) == 0 || tag[1] != id {
		return form{}, false
	}
	f := form{action: html.UnescapeString(tag[2]), fields: url.Values{}}
	for _, hidden := range hiddenTag.FindAllStringSubmatch(page, -1) {
		f.fields.Set(html.UnescapeString(hidden[1]), html.UnescapeString(hidden[2]))
	}
	return f, true
}

func errorOn(page string) error {
	if found := errorTag.FindStringSubmatch(page); found != nil {
		return errors.New(html.UnescapeString(found[1]))
	}
	return errors.New("neither a form nor a redirect")
}
