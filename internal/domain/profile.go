package domain

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Profile is what an account says of the person (OIDC Core §5.1). E-mail addresses are not part of it: identities prove
// them, and here anybody may write anything about themselves.
type Profile struct {
	Details

	PhoneNumberVerified bool `json:"phone_number_verified,omitempty"` // an operator's word; gone when the number changes
	// UpdatedAt is when the person or an operator last wrote it; zero: it is as the first identity had it.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Details are the members a person may write about themselves.
type Details struct {
	Name              string  `json:"name,omitempty"`
	FamilyName        string  `json:"family_name,omitempty"`
	GivenName         string  `json:"given_name,omitempty"`
	MiddleName        string  `json:"middle_name,omitempty"`
	Nickname          string  `json:"nickname,omitempty"`
	PreferredUsername string  `json:"preferred_username,omitempty"`
	Page              string  `json:"profile,omitempty"`
	Picture           string  `json:"picture,omitempty"`
	Website           string  `json:"website,omitempty"`
	Gender            string  `json:"gender,omitempty"`
	Birthdate         string  `json:"birthdate,omitempty"`
	ZoneInfo          string  `json:"zoneinfo,omitempty"`
	Locale            string  `json:"locale,omitempty"`
	PhoneNumber       string  `json:"phone_number,omitempty"`
	Address           Address `json:"address,omitzero"`
}

// Address is OIDC Core §5.1.1.
type Address struct {
	Formatted     string `json:"formatted,omitempty"`
	StreetAddress string `json:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Country       string `json:"country,omitempty"`
}

// IsZero tells whether nothing is said.
func (p Profile) IsZero() bool { return p == Profile{} }

// Validate returns the first thing wrong, as a sentence that names the member.
func (d *Details) Validate() error {
	for _, m := range d.members() {
		if *m.value == "" {
			continue
		}
		if wrong := m.judge(*m.value); wrong != "" {
			return errors.New(m.name + " " + wrong)
		}
	}
	return nil
}

// Sound is the same without what Validate would refuse: for what a provider says, which nobody can mend in the middle of a
// sign-in.
func (d Details) Sound() Details {
	for _, m := range d.members() {
		if m.judge(*m.value) != "" {
			*m.value = ""
		}
	}
	return d
}

// member is one text of a profile and what may be in it.
type member struct {
	name  string
	value *string
	judge func(string) string // what is wrong with it, to be said after its name; "" for nothing
}

func (d *Details) members() []member {
	a := &d.Address
	return []member{
		{"name", &d.Name, line(256)},
		{"family_name", &d.FamilyName, line(256)},
		{"given_name", &d.GivenName, line(256)},
		{"middle_name", &d.MiddleName, line(256)},
		{"nickname", &d.Nickname, line(256)},
		{"preferred_username", &d.PreferredUsername, line(128)},
		{"profile", &d.Page, webAddress},
		{"picture", &d.Picture, webAddress},
		{"website", &d.Website, webAddress},
		{"gender", &d.Gender, line(64)},
		{"birthdate", &d.Birthdate, birthdate},
		{"zoneinfo", &d.ZoneInfo, shaped(zone, 64, "must be the name of a time zone of the IANA database, such as Europe/Paris.")},
		{"locale", &d.Locale, shaped(language, 35, "must be a language tag (BCP 47), such as en-US.")},
		{"phone_number", &d.PhoneNumber, shaped(phone, 32, "must be in E.164 form: + and 7 to 15 digits, and for an extension ;ext= and its digits.")},
		{"address.formatted", &a.Formatted, lines(512)},
		{"address.street_address", &a.StreetAddress, lines(512)},
		{"address.locality", &a.Locality, line(128)},
		{"address.region", &a.Region, line(128)},
		{"address.postal_code", &a.PostalCode, line(32)},
		{"address.country", &a.Country, line(64)},
	}
}

var (
	zone     = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}$`)
	language = regexp.MustCompile(`^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$`)
	phone    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}(;ext=[0-9]{1,10})?$`)
	dated    = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	year     = regexp.MustCompile(`^[0-9]{4}$`)
)

const maxWebAddress = 2048

// line wants one line of printable text.
func line(most int) func(string) string { return text(most, "") }

// lines allows line breaks (OIDC Core §5.1.1: formatted and street_address).
func lines(most int) func(string) string { return text(most, "\r\n") }

func text(most int, breaks string) func(string) string {
	return func(s string) string {
		switch {
		case utf8.RuneCountInString(s) > most:
			return fmt.Sprintf("is longer than %d characters.", most)
		case strings.ContainsFunc(s, func(r rune) bool { return !Printable(r) && !strings.ContainsRune(breaks, r) }):
			return "holds a character that cannot be shown."
		case strings.TrimSpace(s) != s:
			return "begins or ends with a space."
		}
		return ""
	}
}

func shaped(shape *regexp.Regexp, most int, otherwise string) func(string) string {
	return func(s string) string {
		if s != "" && (len(s) > most || !shape.MatchString(s)) {
			return otherwise
		}
		return ""
	}
}

// webAddress wants https: apps put these into their pages, where javascript: would run.
func webAddress(s string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(s) > maxWebAddress ||
		strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || !Printable(r) }) {
		return fmt.Sprintf("must be an https address of at most %d bytes.", maxWebAddress)
	}
	return ""
}

// birthdate is YYYY-MM-DD, 0000-MM-DD where the year is nobody's business, or YYYY.
func birthdate(s string) string {
	day := s
	if strings.HasPrefix(s, "0000-") {
		day = "2000" + s[4:] // a leap year: somebody is born on 29 February
	}
	if s == "" || (year.MatchString(s) && s != "0000") {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil || !dated.MatchString(s) {
		return "must be a date as YYYY-MM-DD, 0000-MM-DD without the year, or YYYY."
	}
	return ""
}

// Printable leaves out controls, line separators and what turns the direction of the text around it.
func Printable(r rune) bool {
	switch {
	case r == utf8.RuneError, unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return false
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return false
	}
	return true
}

// claimScopes says with which scope a claim comes (OIDC Core §5.4).
var claimScopes = map[string]string{
	"name": "profile", "family_name": "profile", "given_name": "profile", "middle_name": "profile", "nickname": "profile",
	"preferred_username": "profile", "profile": "profile", "picture": "profile", "website": "profile", "gender": "profile",
	"birthdate": "profile", "zoneinfo": "profile", "locale": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email", "phone_number": "phone", "phone_number_verified": "phone", "address": "address",
}

// Implied are the scopes whose claims a client asked for one by one (OIDC Core §5.5): the person is asked about them, as if
// the client had named the scope.
func (c Claims) Implied() (scope []string) {
	for _, list := range [][]string{c.IDToken, c.UserInfo} {
		for _, claim := range list {
			if s := ClaimScope(claim); s != "" && !slices.Contains(scope, s) {
				scope = append(scope, s)
			}
		}
	}
	return scope
}

// Asked is everything a person is asked about: the scope the client named, and what its claims imply.
func (r *AuthRequest) Asked() []string {
	asked := slices.Clone(r.Scope)
	for _, s := range r.Claims.Implied() {
		if !slices.Contains(asked, s) {
			asked = append(asked, s)
		}
	}
	return asked
}

// ClaimScope is the scope a claim about the person comes with; empty: we know no such claim.
func ClaimScope(claim string) string { return claimScopes[claim] }
