package chromium

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/browser"
	"github.com/countersign/countersign/test/harness"
)

const (
	bankResource = `
  - id: bank-api
    audience: https://bank-api.example
    authorization_details_types:
      - {type: payment_initiation, title: Pay an invoice, fields: [instructedAmount, creditorName, creditorAccount, remittance, instant]}
      - {type: account_information}
`
	bankClient = `
  - id: shop
    type: web
    secret_file: ./web.secret
    name: Bluebird Books
    first_party: true
    providers: [{name: corp}]
    redirect_uris: ["%s/cb"]
    resources: [bank-api]
    scopes: [openid, offline_access]
    authorization_details_types: [payment_initiation, account_information]
`
	bankDetails = `[{"type":"payment_initiation","instructedAmount":{"currency":"EUR","amount":"123.50"},
		"creditorName":"Merchant & Söhne <b>GmbH</b>","creditorAccount":{"iban":"DE02100100109307118603","owner":{"name":"A. Merchant","lines":["Long Street 1","12345 Town"]}},
		"remittance":"Invoice 4711\nReference שלום עולם, see https://a-very-long-name-of-a-host-that-does-not-end.example/with/a/path/that/does/not/end/either?and=a&query=too",
		"instant":true,"actions":["initiate","status"]},
		{"type":"account_information","actions":["list_accounts","read_balances"],"datatypes":[],"identifier":"0815","locations":["https://bank-api.example"]}]`
)

// bank is a site whose app asks for authorization_details.
func bank(t *testing.T) *site {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(land))
	t.Cleanup(app.Close)
	s := &site{app: app.URL}
	s.World = harness.New(t, harness.SQLite, harness.Resources(bankResource), harness.Clients(fmt.Sprintf(bankClient, app.URL)))
	return s
}

func TestTheDetailsOfARequestLookAsTheyShould(t *testing.T) {
	s := bank(t)
	p := s.person(t, browser.Desktop)
	trip := p.begins(s.trip("openid offline_access", "authorization_details", bankDetails))
	p.signsInWith("corp", "alice")
	p.Wait("#consent-details")
	examine(t, p.Browser, "consent-details")
	p.Click("#consent-allow")
	p.finishes(trip)
}

// What a client writes into its details is shown, and does nothing; and the tokens say what the page said.
func TestWhatWasAgreedIsWhatWasShown(t *testing.T) {
	s := bank(t)
	p := s.person(t, browser.Phone)
	evil := `</bdi></dl></form><script>document.title="broken"</script><img src=x onerror="document.title='broken'"><style>#detail-0{display:none}</style>`
	text, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	trip := p.begins(s.trip("openid", "authorization_details", `[{"type":"payment_initiation","creditorName":`+string(text)+`,"instructedAmount":{`+string(text)+`:"1"}}]`))
	p.signsInWith("corp", "alice")
	p.Wait("#detail-0")
	if got := p.Text("#detail-0 .text"); got != "1" && got != evil {
		t.Errorf("it shows %q", got)
	}
	if shown := p.Text("#detail-0"); strings.Count(shown, evil) != 2 {
		t.Errorf("the page shows %q", shown)
	}
	if title := p.Script("document.title"); strings.Contains(fmt.Sprint(title), "broken") {
		t.Error("a script of the client's ran")
	}
	p.Click("#consent-allow")
	got := p.redeems(trip)
	var entries []struct {
		CreditorName     string            `json:"creditorName"`
		InstructedAmount map[string]string `json:"instructedAmount"`
	}
	granted, err := json.Marshal(got.JSON["authorization_details"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(granted, &entries); err != nil || len(entries) != 1 || entries[0].CreditorName != evil || entries[0].InstructedAmount[evil] != "1" {
		t.Errorf("%s %v", granted, err)
	}
}
