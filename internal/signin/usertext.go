package signin

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/upstream"
)

const (
	maxNameRunes       = 256
	maxDeviceNameRunes = 128
	maxUserBytes       = 4096
)

// personName is what somebody is called, whole and in parts; the parts may be empty.
type personName struct{ whole, given, family string }

// displayName is the signed name, or else the one the app says the provider gave it: Apple shows it to the app once
// and never signs it.
func displayName(signed *upstream.Subject, user string) (n personName, err error) {
	n = personName{signed.Name, signed.GivenName, signed.FamilyName}
	if n.whole == "" && user != "" {
		n, err = userName(user)
	}
	return personName{tidyName(n.whole), tidyName(n.given), tidyName(n.family)}, err
}

// userName reads `user`: Apple's JSON object {"name":{"firstName":…,"lastName":…}}, or just a name (docs/api.md). An
// e-mail in it is unsigned and ignored. Other JSON is what an app's serializer makes of nothing, such as null: it is no
// name, and the one that is kept is kept for ever.
func userName(user string) (n personName, err error) {
	if len(user) > maxUserBytes || !utf8.ValidString(user) {
		return n, oauth.E(oauth.InvalidRequest, "user must be valid UTF-8 of at most 4096 bytes.")
	}
	if !strings.HasPrefix(strings.TrimSpace(user), "{") {
		if json.Valid([]byte(user)) {
			return n, nil
		}
		return personName{whole: user}, nil
	}
	bad := oauth.E(oauth.InvalidRequest,
		"user is not the object Apple gives: {'name':{'firstName':'...','lastName':'...'}} in JSON, or a plain name.")
	object, err := jose.ParseObject([]byte(user))
	if err != nil {
		return n, bad.Because(err)
	}
	name, ok, err := object.Object("name")
	if err != nil {
		return n, bad.Because(err)
	}
	if !ok {
		return n, nil
	}
	first, _, err := name.String("firstName")
	if err != nil {
		return n, bad.Because(err)
	}
	last, _, err := name.String("lastName")
	if err != nil {
		return n, bad.Because(err)
	}
	return personName{first + " " + last, first, last}, nil
}

// tidyName drops what cannot be shown and cuts the rest. A name is not refused: Apple tells it once, and a person
// cannot mend it in the middle of a sign-in.
func tidyName(name string) string {
	kept := strings.TrimSpace(strings.Map(func(r rune) rune {
		if !domain.Printable(r) {
			return -1
		}
		return r
	}, name))
	if runes := []rune(kept); len(runes) > maxNameRunes {
		kept = strings.TrimSpace(string(runes[:maxNameRunes]))
	}
	return kept
}

// CheckDeviceName refuses what the app could have got right.
func CheckDeviceName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxDeviceNameRunes {
		return oauth.E(oauth.InvalidRequest, "device_name must be valid UTF-8 of at most 128 characters.")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !domain.Printable(r) }) {
		return oauth.E(oauth.InvalidRequest, "device_name must not contain control characters.")
	}
	return nil
}
