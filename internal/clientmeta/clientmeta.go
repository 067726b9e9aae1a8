// Package clientmeta judges what a client says of itself: the metadata of a registration (RFC 7591, OIDC Dynamic Client
// Registration 1.0) or of a document that is found at its client id (draft-ietf-oauth-client-id-metadata-document-01). It
// reads JSON strictly and makes a domain.Client of it, or a registered error. It fetches nothing and knows no store: what
// a member points at is the registration room's to get.
package clientmeta

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
	"github.com/countersign/countersign/internal/oauth"
)

// MaxBytes is how large metadata may be: 16 KiB, and 8 for ten keys of RSA.
const MaxBytes = 24 << 10

// Metadata is what we understand. A member that is absent or null is its zero value; one that is not listed is ignored
// (RFC 7591 §2), and so are names with a language tag (§2.2): pages show one name.
type Metadata struct {
	RedirectURIs    []string          `json:"redirect_uris,omitempty"`
	AuthMethod      domain.AuthMethod `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes      []string          `json:"grant_types,omitempty"`
	ResponseTypes   []string          `json:"response_types,omitempty"`
	ApplicationType string            `json:"application_type,omitempty"` // OIDC Registration §2
	Name            string            `json:"client_name,omitempty"`
	ClientURI       string            `json:"client_uri,omitempty"`
	LogoURI         string            `json:"logo_uri,omitempty"`
	PolicyURI       string            `json:"policy_uri,omitempty"`
	TermsURI        string            `json:"tos_uri,omitempty"`
	Scope           string            `json:"scope,omitempty"`
	Contacts        []string          `json:"contacts,omitempty"`
	JWKS            json.RawMessage   `json:"jwks,omitempty"`
	JWKSURI         string            `json:"jwks_uri,omitempty"`
	SoftwareID      string            `json:"software_id,omitempty"`
	SoftwareVersion string            `json:"software_version,omitempty"`
	Statement       string            `json:"software_statement,omitempty"`

	SubjectType string            `json:"subject_type,omitempty"`
	SectorURI   string            `json:"sector_identifier_uri,omitempty"`
	IDTokenAlg  domain.SigningAlg `json:"id_token_signed_response_alg,omitempty"`
	UserInfoAlg domain.SigningAlg `json:"userinfo_signed_response_alg,omitempty"`
	RequestAlg  domain.SigningAlg `json:"request_object_signing_alg,omitempty"`
	RequestURIs []string          `json:"request_uris,omitempty"`
	ResponseAlg domain.SigningAlg `json:"authorization_signed_response_alg,omitempty"`
	MaxAge      *int64            `json:"default_max_age,omitempty"`

	RequireSigned    bool     `json:"require_signed_request_object,omitempty"`              // RFC 9101 §10.5
	RequirePushed    bool     `json:"require_pushed_authorization_requests,omitempty"`      // RFC 9126 §6
	DPoPBound        bool     `json:"dpop_bound_access_tokens,omitempty"`                   // RFC 9449 §5.2
	CertificateBound bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 §3.4
	TLSDN            string   `json:"tls_client_auth_subject_dn,omitempty"`
	TLSDNS           string   `json:"tls_client_auth_san_dns,omitempty"`
	TLSURI           string   `json:"tls_client_auth_san_uri,omitempty"`
	TLSIP            string   `json:"tls_client_auth_san_ip,omitempty"`
	TLSEmail         string   `json:"tls_client_auth_san_email,omitempty"`
	DetailTypes      []string `json:"authorization_details_types,omitempty"` // RFC 9396 §10

	PostLogoutURIs    []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogout string   `json:"backchannel_logout_uri,omitempty"`
}

// Document is metadata as it came, with what only some documents may have.
type Document struct {
	Metadata
	ClientID     string // an update repeats it (RFC 7592 §2.2); a document has it as its own address
	ClientSecret string

	members map[string]json.RawMessage
}

// Has tells whether a member is there, whatever it holds; null is a way to leave one out (RFC 7592 §2.2).
func (d *Document) Has(name string) bool {
	raw, there := d.members[name]
	return there && string(raw) != "null"
}

// Parse reads one JSON object strictly: no member twice, in no two spellings, nothing after it, every member we know of
// its type. The error is invalid_client_metadata.
func Parse(data []byte) (*Document, error) {
	if len(data) > MaxBytes {
		return nil, invalid("The client metadata is larger than 24 KiB.")
	}
	if _, err := jose.ParseObject(data); err != nil {
		return nil, invalid("The client metadata is not one JSON object without duplicate members.").Because(err)
	}
	d := &Document{}
	if err := json.Unmarshal(data, &d.members); err != nil {
		return nil, invalid("The client metadata is not a JSON object.").Because(err)
	}
	if err := d.read(d.members); err != nil {
		return nil, err
	}
	for name, into := range map[string]*string{"client_id": &d.ClientID, "client_secret": &d.ClientSecret} {
		if err := member(d.members, name, into); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// read takes the members we know by their exact names: the decoder of a whole struct would take those in another case
// too.
func (m *Metadata) read(members map[string]json.RawMessage) error {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if err := member(members, name, v.Field(i).Addr().Interface()); err != nil {
			return err
		}
	}
	if len(m.JWKS) > 0 && m.JWKS[0] != '{' {
		return invalid("jwks must be a JSON object: a JWK Set.")
	}
	return nil
}

func member(members map[string]json.RawMessage, name string, into any) error {
	raw, there := members[name]
	if !there || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil || slices.Contains(nulls(raw), true) {
		code := oauth.InvalidClientMetadata
		if name == "redirect_uris" {
			code = oauth.InvalidRedirectURI
		}
		return oauth.E(code, name+" has the wrong JSON type.").Because(err)
	}
	return nil
}

// nulls tells which elements of an array are null: to the decoder each would be an empty text.
func nulls(raw json.RawMessage) []bool {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	out := make([]bool, len(list))
	for i, element := range list {
		out[i] = string(element) == "null"
	}
	return out
}

func invalid(description string) *oauth.Error {
	return oauth.E(oauth.InvalidClientMetadata, description)
}
