package domain

import (
	"encoding/json"
	"strings"
	"testing"
)

// set makes details with one member.
func set(name, value string) Details {
	var d Details
	for _, m := range d.members() {
		if m.name == name {
			*m.value = value
		}
	}
	return d
}

func TestAProfileHoldsWhatOpenIDConnectSaysAndNothingThatHurts(t *testing.T) { // oidc-core-5.1-02
	for _, c := range []struct {
		member, value string
		ok            bool
	}{
		{"name", "Grace Brewster Hopper", true},
		{"name", "李小龍", true},
		{"name", strings.Repeat("é", 256), true},
		{"name", strings.Repeat("é", 257), false},
		{"name", " Grace", false},
		{"name", "Gra\nce", false},
		{"name", "Grace\u202e", false},
		{"name", "Grace\xff", false},
		{"preferred_username", strings.Repeat("a", 129), false},
		{"profile", "https://example.com/~grace?x=1#y", true},
		{"picture", "http://example.com/a.png", false},
		{"website", "javascript:alert(1)", false},
		{"website", "https://user@example.com/", false},
		{"website", "https:///path", false},
		{"website", "https://example.com/ x", false},
		{"website", "https://example.com/" + strings.Repeat("x", 2048), false},
		{"birthdate", "1906-12-09", true},
		{"birthdate", "0000-02-29", true},
		{"birthdate", "1906", true},
		{"birthdate", "0000", false},
		{"birthdate", "1906-02-29", false},
		{"birthdate", "1906-13-01", false},
		{"birthdate", "09.12.1906", false},
		{"birthdate", "1906-12", false},
		{"zoneinfo", "Europe/Paris", true},
		{"zoneinfo", "America/Argentina/Buenos_Aires", true},
		{"zoneinfo", "Etc/GMT+5", true},
		{"zoneinfo", "UTC", true},
		{"zoneinfo", "../etc/passwd", false},
		{"zoneinfo", "+02:00", false},
		{"locale", "en-US", true},
		{"locale", "zh-Hant-TW", true},
		{"locale", "en_US", true}, // OIDC Core §5.1 knows the underscore
		{"locale", "e", false},
		{"locale", "en--US", false},
		{"locale", "english please", false},
		{"phone_number", "+14255551212", true},
		{"phone_number", "+14255551212;ext=5678", true},
		{"phone_number", "0049 30 123456", false},
		{"phone_number", "+0123456789", false},
		{"phone_number", "+1234567890123456", false},
		{"address.street_address", "1 Navy Yard\r\nHouse 2", true},
		{"address.street_address", "1 Navy\x00Yard", false},
		{"address.locality", "Wash\nington", false},
		{"address.country", strings.Repeat("x", 65), false},
	} {
		d := set(c.member, c.value)
		if d == (Details{}) {
			t.Fatalf("no member %s", c.member)
		}
		err := d.Validate()
		if (err == nil) != c.ok || (err != nil && !strings.HasPrefix(err.Error(), c.member+" ")) {
			t.Errorf("%s %q: %v", c.member, c.value, err)
		}
		if sound := d.Sound(); (sound == d) != c.ok || sound.Validate() != nil {
			t.Errorf("%s %q became %+v", c.member, c.value, sound)
		}
	}
	if err := (&Details{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyProfileIsAnEmptyDocument(t *testing.T) {
	text, err := json.Marshal(Profile{})
	if err != nil || string(text) != "{}" {
		t.Errorf("%s %v", text, err)
	}
}

func TestClaimsAreAskedAboutAsTheirScopes(t *testing.T) {
	r := AuthRequest{Scope: []string{"openid", "email"}, Claims: Claims{
		UserInfo: []string{"email", "name", "color"}, IDToken: []string{"acr", "nickname", "phone_number_verified"},
	}}
	if got := strings.Join(r.Asked(), " "); got != "openid email profile phone" {
		t.Errorf("%q", got)
	}
	if len(r.Scope) != 2 {
		t.Errorf("the request was changed: %q", r.Scope)
	}
}

// What is sound stays sound, and whatever a provider says becomes so.
func FuzzSoundDetails(f *testing.F) {
	f.Add("Grace", "https://example.com", "1906-12-09", "en-US")
	f.Add("a\x00", "javascript:x", "0000-00-00", "-")
	f.Fuzz(func(t *testing.T, name, picture, birthdate, locale string) {
		d := Details{Name: name, Picture: picture, Birthdate: birthdate, Locale: locale}
		sound := d.Sound()
		if err := sound.Validate(); err != nil {
			t.Error(err)
		}
		if d.Validate() == nil && sound != d {
			t.Errorf("%+v became %+v", d, sound)
		}
	})
}
