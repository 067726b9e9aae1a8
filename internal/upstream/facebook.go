package upstream

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/jose"
)

// Facebook has two kinds of evidence (other-providers.md section 4). By redirect it is a plain OAuth 2.0 server, whose
// access token is asked who it is of. Apps have the id_token of Limited Login, signed under an issuer whose keys are on
// another host. An app's classic access token is never taken: it says nothing about which app it was given to.
const (
	facebookIssuer = "https://www.facebook.com"
	facebookKeys   = "https://limited.facebook.com/.well-known/oauth/openid/jwks/"
	facebookDialog = "https://www.facebook.com/"
	facebookGraph  = "https://graph.facebook.com/"
	facebookFields = "id,name,first_name,last_name,email,picture"

	// graphVersion is the default. A version ends about two years after it began.
	graphVersion = "v24.0"
)

// The codes of errors at the token endpoint.
const (
	graphBadSecret = "1"
	graphBadCode   = "100"
	graphBadApp    = "101"
)

func (p *Provider) pinFacebook(s Settings, source *keySource) error {
	version := cmp.Or(s.GraphVersion, graphVersion)
	if !isGraphVersion(version) {
		return fmt.Errorf("graph_version %q is not one of Facebook's, such as %s", version, graphVersion)
	}
	p.issuers, source.uri = []string{facebookIssuer}, facebookKeys
	at := &p.directory.pinned
	at.authorize = facebookDialog + version + "/dialog/oauth"
	at.token, at.userInfo = facebookGraph+version+"/oauth/access_token", facebookGraph+version+"/me"
	return nil
}

// isGraphVersion: a v, digits, a point, digits. It becomes part of addresses.
func isGraphVersion(s string) bool {
	rest, starts := strings.CutPrefix(s, "v")
	major, minor, pointed := strings.Cut(rest, ".")
	return starts && pointed && len(s) <= 8 && isDigits(major) && isDigits(minor)
}

// isDigits tells whether s is a number and nothing else.
func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// isID tells whether s is an id as Facebook and Discord write theirs: a text of digits, no longer than 64 bits need.
func isID(s string) bool { return isDigits(s) && len(s) <= 20 && s[0] != '0' }

// askFacebook asks with a proof that we know the app's secret: who merely got hold of an access token cannot do that.
// fields must be named, or there is an id and a name.
func (p *Provider) askFacebook(ctx context.Context, at endpoints, token string) (jose.Claims, error) {
	mac := hmac.New(sha256.New, []byte(p.client.secret))
	mac.Write([]byte(token))
	q := url.Values{"fields": {facebookFields}, "appsecret_proof": {hex.EncodeToString(mac.Sum(nil))}}
	who, _, err := p.ask(ctx, at.userInfo+"?"+q.Encode(), token)
	return who, err
}

// fromFacebook: the id is the person's at this app, another one at every other app, and the sub of Limited Login. The
// address is missing where somebody signed up with a telephone, and nothing says that it was ever verified.
func fromFacebook(who jose.Claims, s *Subject) error {
	id, _, err := who.String("id")
	if err != nil || !isID(id) {
		return refuse(err, "The provider's answer has no id that names the person.")
	}
	s.Subject = id
	s.Email = information(who, "email", maxEmail)
	s.Name = information(who, "name", maxName)
	s.GivenName, s.FamilyName = information(who, "first_name", maxName), information(who, "last_name", maxName)
	picture, there, err := who.Object("picture")
	if err != nil || !there {
		return nil //nolint:nilerr // nothing is decided by it
	}
	if data, there, err := picture.Object("data"); err == nil && there {
		s.Picture = pictureURL(data, "url")
	}
	return nil
}

// graphRefusal is exchangeRefusal for errors as the Graph API writes them: an object with a number.
func (p *Provider) graphRefusal(status int, body jose.Claims) error {
	said, there, err := body.Object("error")
	if err != nil || !there {
		return fmt.Errorf("%w: redeem a code: status %d: %w", ErrUnavailable, status, cmp.Or(err, errors.New("it says no error")))
	}
	code := digit(said, "code")
	cause := fmt.Errorf("redeem a code: status %d, error %.16q, subcode %.16q", status, code, digit(said, "error_subcode"))
	switch {
	case code == graphBadCode && status < http.StatusInternalServerError:
		return refuse(cause, "The sign-in with %s took too long, or was used already. Please sign in again.", p.title())
	case code == graphBadSecret || code == graphBadApp:
		return fmt.Errorf("%w: %w: check the app id and the app secret", ErrUnavailable, cause)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}
