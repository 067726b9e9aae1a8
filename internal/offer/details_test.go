package offer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

const bank = "https://bank.example"

var town = domain.Catalog{Resources: []domain.Resource{
	{ID: "bank", Audience: bank, Scopes: []string{"accounts"}, Details: []domain.DetailType{
		{Type: "payment", Fields: []string{"amount", "creditor", "instant"}, Required: []string{"amount", "creditor"}},
		{Type: "balance", Fields: []string{"iban"}, Required: []string{"actions"}},
		{Type: "closing"},
	}},
	{ID: "notes", Audience: notes, Scopes: []string{"notes.read"}, Details: []domain.DetailType{{Type: "note"}}},
	{ID: "photos", Audience: photos, Details: []domain.DetailType{{Type: "album"}}},
}}

func payer() *domain.Client {
	return &domain.Client{
		ID: "payer", Type: domain.ClientWeb, Resources: []string{"bank", "notes"},
		Scopes: strings.Fields("openid offline_access accounts notes.read"), DetailTypes: []string{"payment", "balance", "note", "album"},
	}
}

func payerOffer() Offer { return Of(&town, payer(), issuer) }

const (
	payment = `{"type":"payment","amount":{"currency":"EUR","value":"1.00"},"creditor":"Ada"}`
	note    = `{"type":"note","identifier":"n1"}`
)

// rfc9396-2-01, rfc9396-2-02, rfc9396-2.1-01, rfc9396-2.2-01, rfc9396-5-01, rfc9396-5-02, rfc9396-5-03, rfc9396-5-04, rfc9396-5-05, rfc9396-12-01
func TestWhichDetailsARequestMayHave(t *testing.T) {
	deep := strings.Repeat(`{"x":`, 8) + `1` + strings.Repeat(`}`, 8)
	for _, c := range []struct{ name, details, says string }{
		{"one entry", "[" + payment + "]", ""},
		{"members of every type", `[{"type":"balance","actions":["read"],"datatypes":["eur"],"identifier":"x","privileges":[],"locations":["` + bank + `"]}]`, ""},
		{"numbers, truth and lists", `[{"type":"payment","amount":1.50,"creditor":["a",{"b":true}],"instant":false}]`, ""},
		{"two of one type", `[{"type":"note","identifier":"a"},{"type":"note","identifier":"b"}]`, ""},
		{"emoji and letters that join", `[{"type":"note","identifier":"\ud83d\udc69\u200d\ud83d\ude80 \u0645\u06cc\u200c\u062e"}]`, ""},
		{"no JSON", `payment`, "JSON array"},
		{"an object", payment, "JSON array"},
		{"something behind it", "[" + payment + "]]", "JSON array"},
		{"nothing in it", `[]`, "0 entries"},
		{"an entry that is a text", `["payment"]`, "[0] is not an object"},
		{"null", `[null]`, "[0] is not an object"},
		{"no type", `[{"actions":["read"]}]`, "[0] has no type"},
		{"a type that is no string", `[{"type":["payment"]}]`, "[0] has no type"},
		{"an unknown type", "[" + payment + `,{"type":"pyament"}]`, "[1]: this client may ask for no such type"},
		{"a type in other letters", `[{"type":"Payment"}]`, "no such type"},
		{"a type the client does not list", `[{"type":"closing"}]`, "no such type"},
		{"a type of another client's resource", `[{"type":"album"}]`, "no such type"},
		{"an unknown member", `[{"type":"note","colour":"red"}]`, "[0].colour: the type note has no such member"},
		{"a member of another type", `[{"type":"note","amount":1}]`, "[0].amount"},
		{"a required member is missing", `[{"type":"payment","amount":1}]`, "[0]: the type payment needs the member creditor"},
		{"a common member that is required", `[{"type":"balance"}]`, "needs the member actions"},
		{"actions that are one text", `[{"type":"note","actions":"read"}]`, "[0].actions must be an array of strings"},
		{"numbers among the privileges", `[{"type":"note","privileges":[1]}]`, "[0].privileges must be an array of strings"},
		{"an identifier that is a list", `[{"type":"note","identifier":["a"]}]`, "[0].identifier must be a string"},
		{"a location of nobody", `[{"type":"note","locations":["https://evil.example"]}]`, "[0].locations"},
		{"a location of another type", `[{"type":"note","locations":["` + bank + `"]}]`, "[0].locations"},
		{"a location that is the issuer", `[{"type":"note","locations":["` + issuer + `"]}]`, "[0].locations"},
		{"a member twice", `[{"type":"note","identifier":"a","identifier":"b"}]`, "without a member twice"},
		{"a member twice, deep down", `[{"type":"payment","amount":{"v":1,"v":2},"creditor":"a"}]`, "without a member twice"},
		{"a member in two spellings", `[{"type":"payment","amount":{"v":1,"V":2},"creditor":"a"}]`, "without a member twice"},
		{"the same entry twice", `[` + note + `,{"identifier" : "n1", "type":"note"}]`, "[1] is the same as authorization_details[0]"},
		{"null as a value", `[{"type":"payment","amount":null,"creditor":"a"}]`, "[0].amount is null"},
		{"null in a list", `[{"type":"payment","amount":[null],"creditor":"a"}]`, "[0].amount is null"},
		{"too deep", `[{"type":"payment","amount":` + deep + `,"creditor":"a"}]`, "nested deeper"},
		{"a bomb of brackets", strings.Repeat("[", 8000), "JSON array"},
		{"too long", `[{"type":"note","identifier":"` + strings.Repeat("x", maxDetails) + `"}]`, "more than 8192 bytes"},
		{"too long when it is written out", `[{"type":"note","identifier":"` + strings.Repeat("<", 4000) + `"}]`, "when it is written out"},
		{"17 entries", "[" + strings.TrimSuffix(strings.Repeat(note+",", 17), ",") + "]", "17 entries"},
		{"thousands of entries", "[" + strings.TrimSuffix(strings.Repeat("1,", 4000), ",") + "]", "4000 entries"},
		{"a name that nobody sees", `[{"type":"note","id\u200bentifier":"a"}]`, "cannot see"},
		{"a name inside that nobody sees", `[{"type":"payment","amount":{"a\u202e":1},"creditor":"a"}]`, "cannot see"},
		{"writing turned round", `[{"type":"note","identifier":"100 EUR \u202e001"}]`, "turns what they read"},
		{"an isolate", `[{"type":"note","actions":["a\u2067b"]}]`, "turns what they read"},
		{"a tag character", `[{"type":"note","identifier":"a\udb40\udc41"}]`, "cannot see"},
		{"half a surrogate pair", `[{"type":"note","identifier":"a\ud800"}]`, "JSON array"},
		{"a control character", `[{"type":"note","identifier":"a\u0007"}]`, "cannot see"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := payerOffer().Grant(Wish{Details: c.details, Resources: []string{bank, notes}})
			if c.says == "" {
				if err != nil || len(got.Details) == 0 {
					t.Fatalf("%s %v", got.Details, err)
				}
				return
			}
			if err == nil || oauth.AsError(err).Code != oauth.InvalidDetails || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%s %v", got.Details, err)
			}
		})
	}
}

// KL03 beside RFC 6749 §5.2, which allows no quotes, no backslash and nothing beyond ASCII.
func TestARefusalRepeatsNothingOfWhatTheClientWrote(t *testing.T) {
	for _, details := range []string{
		`[{"type":"cs_rt_secret"}]`, `[{"type":"note","\"quoted\"\\":1}]`, `[{"type":"note","` + strings.Repeat("t", 60) + `":1}]`,
		`[{"type":"note","größe":1}]`, `[{"type":"note","locations":["cs_rt_secret"]}]`,
	} {
		_, err := payerOffer().Grant(Wish{Details: details})
		if err == nil {
			t.Fatal(details)
		}
		says := oauth.AsError(err).Description
		for _, never := range []string{"cs_rt_", `"`, `\`, "ttttttttttttttttttttttttttttttttttttttttttttttttt", "ö"} {
			if strings.Contains(says, never) {
				t.Errorf("%s: %q holds %q", details, says, never)
			}
		}
	}
}

// rfc9396-3.2-01
func TestDetailsAreForTheResourceThatDeclaresTheirType(t *testing.T) {
	for _, c := range []struct {
		name, scope, details string
		resource             []string
		audiences            string
		err                  oauth.Code
	}{
		{"the owner of the type", "", "[" + payment + "]", nil, bank, ""},
		{"with a scope of the same resource", "accounts", "[" + payment + "]", nil, bank, ""},
		{"with one about the person", "openid", "[" + note + "]", nil, notes, ""},
		{"two owners must be named", "", "[" + payment + "," + note + "]", nil, "", oauth.InvalidTarget},
		{"a scope's owner and another one's type", "notes.read", "[" + payment + "]", nil, "", oauth.InvalidTarget},
		{"named, the first is the audience", "", "[" + payment + "," + note + "]", []string{notes, bank}, notes + " " + bank, ""},
		{"the owner is not among the named", "", "[" + payment + "]", []string{notes}, "", oauth.InvalidDetails},
		{"nor is the issuer", "", "[" + payment + "]", []string{issuer}, "", oauth.InvalidDetails},
		{"a resource of others", "", "[" + payment + "]", []string{bank, photos}, "", oauth.InvalidTarget},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := payerOffer().Grant(Wish{Scope: c.scope, Resources: c.resource, Details: c.details})
			if c.err != "" {
				if err == nil || oauth.AsError(err).Code != c.err {
					t.Fatalf("%+v %v", got, err)
				}
				return
			}
			if err != nil || !is(got.Resources, c.audiences) {
				t.Fatalf("%+v %v", got, err)
			}
		})
	}
}

// rfc9396-6.1-01, rfc9396-6.1-02, rfc9396-9.1-01
func TestWhatATokenCarriesOfTheDetails(t *testing.T) {
	second := `{"type":"balance","actions":["read"],"iban":"DE1"}`
	ceiling, err := payerOffer().Grant(Wish{Details: "[" + payment + "," + note + "," + second + "]", Resources: []string{bank, notes}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, details string
		resource      []string
		want          string // types
		err           oauth.Code
	}{
		{"those of the default audience", "", nil, "payment balance", ""},
		{"those of the other", "", []string{notes}, "note", ""},
		{"one of them", "[" + second + "]", nil, "balance", ""},
		{"written in another order", `[{"iban":"DE1","actions":["read"], "type":"balance"}]`, nil, "balance", ""},
		{"one that decides on the audience", "[" + note + "]", nil, "note", ""},
		{"one of another resource than the named", "[" + note + "]", []string{bank}, "", oauth.InvalidDetails},
		{"the same, twice", "[" + second + "," + second + "]", nil, "", oauth.InvalidDetails},
		{"another amount", strings.ReplaceAll("["+payment+"]", "1.00", "1.01"), nil, "", oauth.InvalidDetails},
		{"a member less", `[{"type":"balance","actions":["read"]}]`, nil, "", oauth.InvalidDetails},
		{"another action", `[{"type":"balance","actions":["read","write"],"iban":"DE1"}]`, nil, "", oauth.InvalidDetails},
		{"an action less", `[{"type":"balance","actions":[],"iban":"DE1"}]`, nil, "", oauth.InvalidDetails},
		{"one more", "[" + payment + `,{"type":"note","identifier":"n2"}]`, nil, "", oauth.InvalidDetails},
		{"no JSON", "all", nil, "", oauth.InvalidDetails},
		{"none", "[]", nil, "", oauth.InvalidDetails},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := payerOffer().Carry(ceiling, Wish{Details: c.details, Resources: c.resource})
			if c.err != "" {
				if err == nil || oauth.AsError(err).Code != c.err {
					t.Fatalf("%s %v", got.Details, err)
				}
				return
			}
			if err != nil || types(t, got.Details) != c.want {
				t.Fatalf("%s %v", got.Details, err)
			}
		})
	}
	t.Run("what the client may no longer ask for", func(t *testing.T) {
		c := payer()
		c.DetailTypes = []string{"balance"}
		got, err := Of(&town, c, issuer).Carry(ceiling, Wish{})
		if err != nil || types(t, got.Details) != "balance" {
			t.Fatalf("%s %v", got.Details, err)
		}
	})
	t.Run("a session without any", func(t *testing.T) {
		got, err := payerOffer().Carry(Granted{Scope: []string{"openid"}, Resources: []string{bank}}, Wish{})
		if err != nil || got.Details != nil {
			t.Fatalf("%s %v", got.Details, err)
		}
		_, err = payerOffer().Carry(Granted{Scope: []string{"openid"}, Resources: []string{bank}}, Wish{Details: "[" + payment + "]"})
		if err == nil || oauth.AsError(err).Code != oauth.InvalidDetails {
			t.Fatal(err)
		}
	})
}

func TestAServiceAsksForDetailsOfOneResource(t *testing.T) {
	c := payer()
	c.Type = domain.ClientService
	o := Of(&town, c, issuer)
	got, err := o.Service(Wish{Details: "[" + payment + "]"})
	if err != nil || got.Audience != bank || types(t, got.Details) != "payment" {
		t.Fatalf("%+v %v", got, err)
	}
	for name, w := range map[string]Wish{
		"two owners":         {Details: "[" + payment + "," + note + "]"},
		"a scope of another": {Scope: "notes.read", Details: "[" + payment + "]"},
	} {
		if _, err := o.Service(w); err == nil || oauth.AsError(err).Code != oauth.InvalidTarget {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.Service(Wish{Details: "[" + payment + "]", Resources: []string{notes}}); err == nil || oauth.AsError(err).Code != oauth.InvalidDetails {
		t.Error(err)
	}
}

func types(t *testing.T, details json.RawMessage) string {
	t.Helper()
	if len(details) == 0 {
		return ""
	}
	var list []struct{ Type string }
	if err := json.Unmarshal(details, &list); err != nil {
		t.Fatalf("%s: %v", details, err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Type)
	}
	return strings.Join(names, " ")
}

// What is taken is small, is read the same by any reader, and is taken again as it was written: a session's details are
// read at every refresh. And whatever a token request names, its token carries nothing that was not granted.
func FuzzDetails(f *testing.F) {
	for _, s := range []string{payment, note, `{"type":"payment","amount":1e9,"creditor":["<b>",true]}`, `{"type":"note","x":"\u2028"}`} {
		f.Add("["+s+"]", "["+note+"]")
	}
	f.Fuzz(func(t *testing.T, details, named string) {
		o, both := payerOffer(), []string{bank, notes}
		got, err := o.Grant(Wish{Details: details, Resources: both})
		if err != nil {
			if oauth.AsError(err).Code != oauth.InvalidDetails || strings.ContainsAny(oauth.AsError(err).Description, "\"\\\n") {
				t.Fatalf("%v", err)
			}
			return
		}
		if details == "" {
			return
		}
		var list []map[string]any
		if err := json.Unmarshal(got.Details, &list); err != nil || len(list) == 0 || len(list) > maxEntries || len(got.Details) > maxDetails {
			t.Fatalf("%s %v", got.Details, err)
		}
		again, err := o.Grant(Wish{Details: string(got.Details), Resources: both})
		if err != nil || string(again.Details) != string(got.Details) {
			t.Fatalf("%s\n%s %v", got.Details, again.Details, err)
		}
		if all, err := o.Carry(got, Wish{Details: string(got.Details)}); err == nil && len(all.Details) > len(got.Details) {
			t.Fatalf("%s", all.Details)
		}
		some, err := o.Carry(got, Wish{Details: named})
		if err != nil || named == "" {
			return
		}
		var kept []json.RawMessage
		if err := json.Unmarshal(some.Details, &kept); err != nil {
			t.Fatal(err)
		}
		for _, k := range kept {
			if !strings.Contains(string(got.Details), string(k)) {
				t.Fatalf("%s carries %s", got.Details, k)
			}
		}
	})
}
