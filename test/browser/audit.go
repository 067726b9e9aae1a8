package browser

import (
	_ "embed" // the script
	"fmt"
	"slices"
)

//go:embed audit.js
var audit string

// Faults looks the page over as it is shown now: for headings, names, labels, overflow, what fingers can hit and what
// eyes can read. It returns what is wrong, in sentences.
func (b *Browser) Faults() []string {
	b.t.Helper()
	var list []string
	b.JSON(audit, &list)
	return list
}

// focused describes the element that has the focus, and how far its outline stands out; reachable are all that must have
// it in turn.
const (
	reachable = `(() => { const seen = e => e.getClientRects().length > 0;
		return [...document.querySelectorAll("a[href],button:enabled,input:enabled:not([type=hidden])")].filter(seen)
			.map((e, i) => { e.dataset.stop = i; return String(i) }) })()`
	focused = `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
		let around = e.parentElement;
		while (around.parentElement && getComputedStyle(around).backgroundColor === "rgba(0, 0, 0, 0)") around = around.parentElement;
		return { stop: e.dataset.stop || "", name: e.localName + "#" + e.id,
			visible: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 &&
				s.outlineColor !== getComputedStyle(around).backgroundColor && (parseFloat(s.outlineOffset) > 0 || s.outlineColor !== s.backgroundColor),
			inView: r.top >= 0 && r.bottom <= innerHeight + 1 } })()`
)

// FocusFaults goes through the page with the Tab key, from its beginning: every control must be reached, in the order in
// which the page is read, and it must be seen where the focus is.
func (b *Browser) FocusFaults() []string {
	b.t.Helper()
	var stops, reached, faults []string
	b.JSON(reachable, &stops)
	b.JSON(`(document.activeElement.blur(), getSelection().removeAllRanges(), document.body.tabIndex = -1, document.body.focus(),
		document.body.removeAttribute("tabindex"), scrollTo(0, 0), 0)`, new(int))
	for range stops {
		b.Press("Tab")
		var at struct {
			Stop, Name      string
			Visible, InView bool
		}
		b.JSON(focused, &at)
		reached = append(reached, at.Stop)
		if !at.Visible {
			faults = append(faults, at.Name+" has the focus and does not look it")
		}
		if !at.InView {
			faults = append(faults, at.Name+" has the focus out of sight")
		}
	}
	if !slices.Equal(reached, stops) {
		faults = append(faults, fmt.Sprintf("Tab reaches %v of %v", reached, stops))
	}
	return faults
}
