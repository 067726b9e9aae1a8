package upstream

import (
	"cmp"
	"strings"

	"github.com/countersign/countersign/internal/jose"
)

// Discord is a plain OAuth 2.0 server (other-providers.md section 7). It has no issuer of its own: this is what we keep
// its people under.
const (
	discordIssuer    = "https://discord.com"
	discordAuthorize = "https://discord.com/api/oauth2/authorize"
	discordToken     = "https://discord.com/api/oauth2/token"
	discordUser      = "https://discord.com/api/users/@me"
	discordPictures  = "https://cdn.discordapp.com/avatars/"
)

func (p *Provider) pinDiscord() {
	p.issuers, p.algs = []string{discordIssuer}, nil
	at := &p.directory.pinned
	at.authorize, at.token, at.userInfo = discordAuthorize, discordToken, discordUser
}

// fromDiscord: the id is a text, for it has more digits than a JSON number keeps. User names change hands; the name shown
// is the one people choose for all servers.
func fromDiscord(who jose.Claims, s *Subject) error {
	id, _, err := who.String("id")
	if err != nil || !isID(id) {
		return refuse(err, "The provider's answer has no id that names the person.")
	}
	s.Subject = id
	s.Name = cmp.Or(information(who, "global_name", maxName), information(who, "username", maxName))
	s.Email = information(who, "email", maxEmail)
	if verified, _, err := who.Bool("verified"); err == nil && s.Email != "" {
		s.EmailVerified = verified
	}
	if avatar := information(who, "avatar", maxName); avatar != "" && !strings.ContainsFunc(avatar, notAvatar) {
		s.Picture = discordPictures + id + "/" + avatar + ".png"
	}
	return nil
}

// notAvatar is what the name of a picture may not have: it becomes part of an address.
func notAvatar(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '_'
}
