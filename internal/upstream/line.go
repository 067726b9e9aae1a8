package upstream

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/countersign/countersign/internal/jose"
)

// LINE signs in two ways (other-providers.md section 5): what its SDKs give an app with ES256, by a key it publishes;
// what its token endpoint gives a web client with HS256, by the client's own secret.
const (
	lineIssuer    = "https://access.line.me"
	lineKeys      = "https://api.line.me/oauth2/v2.1/certs"
	lineAuthorize = "https://access.line.me/oauth2/v2.1/authorize"
	lineToken     = "https://api.line.me/oauth2/v2.1/token"
)

func (p *Provider) pinLINE(source *keySource) {
	p.issuers, p.algs, source.uri = []string{lineIssuer}, []jose.Alg{jose.ES256}, lineKeys
	p.directory.pinned.authorize, p.directory.pinned.token = lineAuthorize, lineToken
}

// openRedeemed opens the id_token of our own redemption. LINE's has one way and an app's has the other; neither is ever
// tried for the other. That secret and key stay apart is not left to a header: VerifyHMAC knows only HS256 and this
// secret, Verify only the published keys, and nothing an app sends gets here. OIDC Core §3.1.3.7 point 6 would let us do
// without the signature, since the token came from LINE itself by TLS. It is checked all the same: it costs nothing, and
// a token endpoint that is not LINE's, such as a proxy's that somebody set up wrong, does not know the secret.
func (p *Provider) openRedeemed(ctx context.Context, raw string) (*token, error) {
	if p.kind != typeLINE {
		return p.open(ctx, raw)
	}
	claims, err := jose.VerifyHMAC(raw, []byte(p.client.secret))
	switch {
	case errors.Is(err, jose.ErrSignature):
		return nil, refuse(err, "The id_token's signature does not hold under the channel secret.")
	case err != nil:
		return nil, refuse(err, "The id_token is not one as %s signs it for the web.", p.name)
	}
	return &token{provider: p, claims: claims}, nil
}

// unattended tells whether LINE let somebody in who did nothing for it, by the methods it names: then the time it gives
// is not that of a sign-in.
func (t *token) unattended() bool {
	if t.provider.kind != typeLINE {
		return false
	}
	methods, _, err := t.claims.Strings("amr")
	return err != nil || slices.Contains(methods, "lineautologin") || slices.Contains(methods, "linesso")
}

// lineWords are what our client asked for, in LINE's words: its app signs people in unseen unless it is told not to.
func lineWords(t Trip) map[string]string {
	words := map[string]string{}
	login := slices.Contains(t.Prompt, "login")
	if login || t.MaxAge != nil || slices.Contains(t.Prompt, "select_account") {
		words["disable_auto_login"] = "true"
	}
	switch {
	case login:
		words["max_age"] = "0"
	case t.MaxAge != nil:
		words["max_age"] = strconv.FormatInt(*t.MaxAge, 10)
	}
	return words
}
