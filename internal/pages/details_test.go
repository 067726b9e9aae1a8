package pages

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/flow"
)

// rfc9396-12-02: whoever agrees on a page of the operator's own has seen what it is about.
func TestAConsentPageThatHidesDetailsIsRefused(t *testing.T) {
	const hides = `{{define "title"}}x{{end}}{{define "main"}}<form id="consent-form">{{range .Scopes}}{{.Name}}{{end}}</form>{{end}}`
	const flat = `{{define "title"}}x{{end}}{{define "main"}}{{range .Details}}{{range .Lines}}{{.Text}}{{end}}{{end}}{{end}}`
	for name, page := range map[string]string{"none of them": hides, "no lists and objects": flat} {
		if _, err := NewLook(overrideWith(t, "templates/consent.html", page)); err == nil || !strings.Contains(err.Error(), ".Details") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnOperatorSaysWhatTypesAndMembersAreCalled(t *testing.T) {
	ours, theirs := newLook(t, ""), newLook(t, overrideWith(t,
		"locales/en.json", `{"detail.payment": "Pay somebody", "detail.payment.amount.value": "How much", "detail.payment.locations": "At the bank"}`))
	boxes := detailBoxes([]flow.Detail{
		{Type: "payment", Title: "Payment", Members: []flow.DetailMember{
			{Name: "amount", Items: []flow.DetailMember{{Name: "value", Text: "12"}, {Name: "locations", Text: "inside"}}},
			{Name: "amount.value", Text: "13"}, // a client's name must not pass for another
			{Name: "locations", Items: []flow.DetailMember{{Text: "https://bank.example"}}},
			{Name: "actions", Word: flow.WordEmpty},
			{Name: "instant", Word: flow.WordYes}, {Name: "late", Word: flow.WordNo},
		}},
		{Type: "balance", Title: "See the balance"}, {Type: "other"},
	})
	for lang, want := range map[string][]string{
		"en": {">Pay somebody<", ">How much<", ">amount.value<", ">At the bank<", ">Actions<", ">(empty)<", ">yes<", ">no<", ">locations<", ">See the balance<", ">other<"},
		"de": {">Payment<", ">Aktionen<", ">(leer)<", ">ja<", ">nein<", ">Wo<"},
		"es": {">Acciones<", ">sí<"}, "fr": {">Où<", ">oui<", ">non<"},
	} {
		look := ours
		if lang == "en" {
			look = theirs
		}
		_, body := shown(t, look, http.StatusOK, Consent{Common: Common{Lang: lang}, Details: boxes})
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s: no %s in\n%s", lang, text, body)
			}
		}
	}
}
