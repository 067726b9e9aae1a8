package signin

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/upstream"
)

func TestDisplayName(t *testing.T) {
	const refused = "(refused)"
	for _, tt := range []struct{ name, signed, user, want string }{
		{"nothing is no name", "", "", ""},
		{"the signed name wins over the app's", "Grace Hopper", "Somebody Else", "Grace Hopper"},
		{"Apple's object", "", `{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"ada@example.com"}`, "Ada Lovelace"},
		{"Apple's object with one name", "", `{"name":{"firstName":"Ada"}}`, "Ada"},
		{"Apple's object without a name", "", `{"email":"ada@example.com"}`, ""},
		{"a plain name", "", "  Ada Lovelace ", "Ada Lovelace"},
		{"JSON null is no name", "", "null", ""},
		{"a JSON list is no name", "", " [] ", ""},
		{"a JSON number is no name", "", "123", ""},
		{"a JSON string is no name", "", `"quoted"`, ""},
		{"JSON true is no name", "", "true", ""},
		{"a plain name that begins like JSON", "", "null Island", "null Island"},
		{"a name in another script", "", "李小龍", "李小龍"},
		{"control characters are dropped", "", "Ada\x00\r\nLovelace\x7f", "AdaLovelace"},
		{"what turns the text around is dropped", "", "Ada \u202eecalevoL\u2066", "Ada ecalevoL"},
		{"a long name is cut", "", strings.Repeat("é", 300), strings.Repeat("é", 256)},
		{"a broken object is refused", "", `{"name":`, refused},
		{"a duplicate member is refused", "", `{"name":{"firstName":"Ada","firstName":"Eve"}}`, refused},
		{"a name that is no text is refused", "", `{"name":{"firstName":7}}`, refused},
		{"a name that is no object is refused", "", `{"name":"Ada"}`, refused},
		{"invalid UTF-8 is refused", "", "Ada\xff", refused},
		{"4 KiB are enough", "", strings.Repeat("a", 4097), refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := displayName(&upstream.Subject{Name: tt.signed}, tt.user)
			if tt.want == refused {
				if oauth.AsError(err).Code != oauth.InvalidRequest {
					t.Fatalf("got %q, %v; want invalid_request", got, err)
				}
				return
			}
			if err != nil || got.whole != tt.want {
				t.Fatalf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestANameComesInItsParts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signed upstream.Subject
		user   string
		want   personName
	}{
		{"as the token has them", upstream.Subject{Name: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace"}, "", personName{"Ada Lovelace", "Ada", "Lovelace"}},
		{"as Apple's object has them", upstream.Subject{}, `{"name":{"firstName":"Ada","lastName":"King\u0000"}}`, personName{"Ada King", "Ada", "King"}},
		{"a plain name has none", upstream.Subject{}, "Ada Lovelace", personName{whole: "Ada Lovelace"}},
		{"what is signed is not mixed with what is not", upstream.Subject{Name: "Grace"}, `{"name":{"firstName":"Ada"}}`, personName{whole: "Grace"}},
	} {
		if got, err := displayName(&tt.signed, tt.user); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

func TestDeviceName(t *testing.T) {
	for _, tt := range []struct {
		name, device string
		ok           bool
	}{
		{"none", "", true},
		{"a name with an emoji of several runes", "Ada's 👩‍💻 phone", true},
		{"128 characters", strings.Repeat("ü", 128), true},
		{"129 characters", strings.Repeat("ü", 129), false},
		{"a line feed", "Ada's\nphone", false},
		{"an escape", "Ada's \x1b[31mphone", false},
		{"a direction override", "Ada's \u202ephone", false},
		{"invalid UTF-8", "Ada\xc3", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckDeviceName(tt.device)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v", err)
			}
			if err != nil && oauth.AsError(err).Code != oauth.InvalidRequest {
				t.Fatalf("got %v, want invalid_request", err)
			}
		})
	}
}
