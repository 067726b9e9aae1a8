// Package browser drives a real headless Chromium for the tests of the hosted pages: it opens pages, types, clicks,
// reads what a person would see, holds passkeys, and takes screenshots. It hides the driver, whose API moves fast.
//
// It refuses to be skipped: without a Chromium on PATH a test fails (`make deps` installs one). The browser reaches
// loopback and nothing else.
package browser

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience is how long a step may take. A loaded machine starts a browser in seconds.
const patience = 30 * time.Second

// Browser is one tab of a browser without a history. It belongs to its test and is closed with it; a step that fails
// ends the test, and so does a page that breaks its own Content-Security-Policy or whose script throws.
type Browser struct {
	t          testing.TB
	tab        context.Context
	size       Size
	complaints complaints
}

// Size is what the window shows.
type Size struct {
	Width, Height int64
	Scale         float64
	Phone         bool // touch, no mouse, and the page is told so
}

// The sizes pages are looked at in.
var (
	Desktop = Size{Width: 1280, Height: 800, Scale: 1}
	Phone   = Size{Width: 390, Height: 844, Scale: 2, Phone: true}
)

// New opens a browser with an empty profile.
func New(t testing.TB, size Size) *Browser {
	t.Helper()
	return open(program(t), t, size, chromedp.WithNewBrowserContext())
}

// Tab opens another tab of the same profile: its cookies are these.
func (b *Browser) Tab() *Browser {
	b.t.Helper()
	profile := chromedp.FromContext(b.tab).BrowserContextID
	return open(program(b.t), b.t, b.size, chromedp.WithExistingBrowserContext(profile))
}

func open(chromium context.Context, t testing.TB, size Size, profile chromedp.ContextOption) *Browser {
	t.Helper()
	tab, _ := chromedp.NewContext(chromium, profile)
	b := &Browser{t: t, tab: tab}
	t.Cleanup(func() {
		for _, c := range b.complaints.all() {
			t.Errorf("the browser complains: %s", c)
		}
		if t.Failed() {
			b.keepLastSight()
		}
		closing, done := context.WithTimeout(tab, patience)
		defer done()
		_ = chromedp.Cancel(closing)
	})
	// A tab lives as long as the context of its first step, which must therefore have no deadline.
	if err := chromedp.Listen(tab, b.complaints.hear); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	b.Resize(size)
	return b
}

// do runs steps of the driver's and ends the test if one fails.
func (b *Browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// get runs a step of the driver's that returns something.
func get[T any](b *Browser, what string, step chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, step)
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	return value
}

// Resize changes what the window shows.
func (b *Browser) Resize(size Size) {
	b.t.Helper()
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(size.Scale)}
	if size.Phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.size = size
	b.do("resize", chromedp.EmulateViewport(size.Width, size.Height, options...))
}

// Open goes to an address and waits until the page is loaded.
func (b *Browser) Open(address string) {
	b.t.Helper()
	b.do("open "+address, chromedp.Navigate(address))
}

// Address is where the browser is.
func (b *Browser) Address() string {
	b.t.Helper()
	return get(b, "read the address", chromedp.Evaluate[string]("location.href"))
}

// Wait waits until an element can be seen. Elements are named by CSS selectors.
func (b *Browser) Wait(element string) {
	b.t.Helper()
	b.do("wait for "+element, chromedp.WaitVisible(chromedp.CSS(element)))
}

// Text waits for an element and returns the text a person sees in it.
func (b *Browser) Text(element string) string {
	b.t.Helper()
	b.Wait(element)
	return get(b, "read "+element, chromedp.Text(chromedp.CSS(element)))
}

// Has tells whether the page has an element now.
func (b *Browser) Has(element string) bool {
	b.t.Helper()
	quoted, err := json.Marshal(element)
	if err != nil {
		b.t.Fatal(err)
	}
	return get(b, "look for "+element, chromedp.Evaluate[bool]("document.querySelector("+string(quoted)+") !== null"))
}

// Type waits for a field and types into it.
func (b *Browser) Type(field, text string) {
	b.t.Helper()
	b.do("type into "+field, chromedp.SendKeys(chromedp.CSS(field), text))
}

// Click waits for an element and clicks it.
func (b *Browser) Click(element string) {
	b.t.Helper()
	b.do("click "+element, chromedp.Click(chromedp.CSS(element)))
}

// Script runs an expression in the page, waits for it if it is a promise, and returns its value, which must be text.
func (b *Browser) Script(expression string) string {
	b.t.Helper()
	return get(b, "run a script", chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}

// Screenshot writes the whole page to NAME.png in the test's artifact folder, which `go test -artifacts` keeps.
func (b *Browser) Screenshot(name string) (path string) {
	b.t.Helper()
	picture := get(b, "take a screenshot", chromedp.FullScreenshot(100))
	path = filepath.Join(b.t.ArtifactDir(), name+".png")
	if err := os.WriteFile(path, picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// keepLastSight writes what the page looked like when the test failed. It must not fail itself.
func (b *Browser) keepLastSight() {
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Logf("no last screenshot: %v", err)
		return
	}
	path := filepath.Join(b.t.ArtifactDir(), "failed-"+string(chromedp.FromContext(b.tab).Target.TargetID)+".png")
	if err := os.WriteFile(path, picture, 0o600); err == nil {
		b.t.Logf("what it looked like: %s", path)
	}
}
