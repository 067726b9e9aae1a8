package browser

import (
	"encoding/json"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Dark lets the person prefer dark pages.
func (b *Browser) Dark(dark bool) {
	b.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	call(b, "choose a colour scheme", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
}

// Languages lets the person read these languages, as Accept-Language writes them. Pages opened from now on know it.
func (b *Browser) Languages(accept string) {
	b.t.Helper()
	agent := b.Script("navigator.userAgent")
	call(b, "choose languages", emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: accept})
}

// Scripts switches the scripts of pages on or off.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	call(b, "switch scripts", emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// Reload loads the page again.
func (b *Browser) Reload() {
	b.t.Helper()
	b.do("reload", chromedp.Reload())
}

// Back is the browser's own button.
func (b *Browser) Back() {
	b.t.Helper()
	b.do("go back", chromedp.NavigateBack())
}

// DoubleClick clicks an element twice at once, as people do who learned it so.
func (b *Browser) DoubleClick(element string) {
	b.t.Helper()
	b.do("double-click "+element, chromedp.DoubleClick(chromedp.CSS(element)))
}

// Press presses a key: Tab, Enter, Space.
func (b *Browser) Press(key string) {
	b.t.Helper()
	keys := map[string]string{"Tab": kb.Tab, "Enter": kb.Enter, "Space": " "}
	b.do("press "+key, chromedp.KeyEvent(keys[key]))
}

// ClickFor clicks an element and waits until the browser sets out for an address that begins so, whether or not anybody
// is there. It returns the address.
func (b *Browser) ClickFor(element, prefix string) string {
	b.t.Helper()
	sent := get(b, "click "+element+" for "+prefix, chromedp.WaitEvent(network.RequestWillBeSent,
		func(e network.EventRequestWillBeSent) bool { return strings.HasPrefix(e.Request.URL, prefix) },
		chromedp.Click(chromedp.CSS(element))))
	return sent.Request.URL
}

// JSON runs an expression in the page and decodes its value.
func (b *Browser) JSON(expression string, into any) {
	b.t.Helper()
	text := get(b, "run a script", chromedp.Evaluate[string]("JSON.stringify("+expression+")"))
	if err := json.Unmarshal([]byte(text), into); err != nil {
		b.t.Fatal(err)
	}
}
