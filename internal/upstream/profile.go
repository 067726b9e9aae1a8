package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/jose"
)

// members are the names under which an OAuth 2.0 provider says who somebody is.
type members struct {
	subject, email, name string
	emailVerified        []string // all must say so
}

func newMembers(s Settings) members {
	return members{
		subject: cmp.Or(s.SubjectClaim, "sub"), email: s.EmailClaim, emailVerified: strings.Fields(s.EmailVerifiedClaim), name: s.NameClaim,
	}
}

// profile asks a provider without id_tokens who the person is. What it says is good for this one answer: we asked with
// a token that it gave us a moment ago, for our own code.
func (p *Provider) profile(ctx context.Context, at endpoints, body jose.Claims) (*Subject, error) {
	token, err := accessToken(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnavailable, p.name, err)
	}
	var who jose.Claims
	if p.kind == typeFacebook {
		who, err = p.askFacebook(ctx, at, token)
	} else {
		who, _, err = p.ask(ctx, at.userInfo, token)
	}
	if err != nil {
		return nil, err
	}
	s := &Subject{Provider: p.name, Issuer: p.issuers[0], Audience: p.client.id, IssuedAt: p.now()}
	switch p.kind {
	case typeGitHub:
		err = p.fromGitHub(ctx, at, token, who, s)
	case typeFacebook:
		err = fromFacebook(who, s)
	case typeDiscord:
		err = fromDiscord(who, s)
	default:
		err = p.members.read(who, s)
	}
	return s, err
}

func (m members) read(who jose.Claims, s *Subject) error {
	holder, name := member(who, m.subject)
	if err := readSubject(holder, name, s); err != nil {
		return err
	}
	if m.email != "" {
		holder, name := member(who, m.email)
		s.Email = information(holder, name, maxEmail)
	}
	if m.name != "" {
		holder, name := member(who, m.name)
		s.Name = information(holder, name, maxName)
	}
	s.EmailVerified = s.Email != "" && len(m.emailVerified) > 0
	for _, path := range m.emailVerified {
		holder, name := member(who, path)
		verified, _, err := holder.Bool(name)
		s.EmailVerified = s.EmailVerified && err == nil && verified
	}
	return nil
}

// member finds the object that a dotted path ends in, and its member's name there. A member that is called like the
// whole path goes first: some are named by a URL.
func member(in jose.Claims, path string) (holder jose.Claims, name string) {
	for {
		first, rest, dotted := strings.Cut(path, ".")
		if !dotted || in.Has(path) {
			return in, path
		}
		inner, there, err := in.Object(first)
		if err != nil || !there {
			return in, path // where there is nothing of that name
		}
		in, path = inner, rest
	}
}

// readSubject takes a text, or a whole number as it is written.
func readSubject(who jose.Claims, name string, s *Subject) error {
	subject, there, err := who.Digits(name)
	if err != nil {
		subject, there, err = who.String(name)
	}
	if err != nil || !there || !soundSubject(subject) {
		return refuse(err, "The provider's answer has no %s that names the person.", name)
	}
	s.Subject = subject
	return nil
}

// fromGitHub: the number is the person, the login can be renamed and given to another. The address on the profile is
// what the person shows, so it is not taken; of the list, the primary one, if it is verified.
func (p *Provider) fromGitHub(ctx context.Context, at endpoints, token string, who jose.Claims, s *Subject) error {
	id, there, err := who.Digits("id")
	if err != nil || !there || id == "0" || !soundSubject(id) {
		return refuse(err, "The provider's answer has no id that names the person.")
	}
	s.Subject = id
	s.Name = cmp.Or(information(who, "name", maxName), information(who, "login", maxName))
	s.Picture = pictureURL(who, "avatar_url")
	list, status, err := p.askList(ctx, at.emails, token)
	if err != nil {
		// Not to be told addresses is the person's choice, or the operator's: nobody is kept out for it.
		if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
			return nil
		}
		return err
	}
	for _, entry := range list {
		primary, _, err1 := entry.Bool("primary")
		verified, _, err2 := entry.Bool("verified")
		if err := errors.Join(err1, err2); err == nil && primary && verified {
			s.Email = information(entry, "email", maxEmail)
			s.EmailVerified = s.Email != ""
			return nil
		}
	}
	return nil
}

// complete fills in what an OpenID provider tells only at its userinfo endpoint. Nothing is decided by it, so that a
// fault there keeps nobody out; but an answer about somebody else is a sign of a swapped token (OIDC Core §5.3.4).
func (p *Provider) complete(ctx context.Context, at endpoints, s *Subject, body jose.Claims) error {
	if at.userInfo == "" || s.Email != "" && s.Name != "" {
		return nil
	}
	token, err := accessToken(body)
	if err != nil {
		return nil //nolint:nilerr // no token, nothing to ask with
	}
	who, _, err := p.ask(ctx, at.userInfo, token)
	if err != nil {
		return nil //nolint:nilerr // said above
	}
	if sub, _, err := who.String("sub"); err != nil || sub != s.Subject {
		return refuse(err, "The userinfo of %s is about somebody else than its id_token.", p.name)
	}
	more := Subject{}
	p.describe(&more, who)
	if s.Email == "" {
		s.Email, s.EmailVerified = more.Email, more.EmailVerified
	}
	s.Name = cmp.Or(s.Name, more.Name)
	s.GivenName, s.FamilyName = cmp.Or(s.GivenName, more.GivenName), cmp.Or(s.FamilyName, more.FamilyName)
	s.Picture, s.Locale = cmp.Or(s.Picture, more.Picture), cmp.Or(s.Locale, more.Locale)
	return nil
}

// ask reads one object with the access token.
func (p *Provider) ask(ctx context.Context, address, token string) (who jose.Claims, status int, err error) {
	body, status, err := p.getAs(ctx, address, token)
	if err != nil {
		return jose.Claims{}, status, err
	}
	if who, err = jose.ParseObject(body); err != nil {
		return jose.Claims{}, status, fmt.Errorf("%w: who is it: %w", ErrUnavailable, err)
	}
	return who, status, nil
}

// askList reads an array of objects. The strict reader knows objects only, so the array becomes a member of one.
func (p *Provider) askList(ctx context.Context, address, token string) (list []jose.Claims, status int, err error) {
	body, status, err := p.getAs(ctx, address, token)
	if err != nil {
		return nil, status, err
	}
	wrapped, err := jose.ParseObject([]byte(`{"list":` + string(body) + `}`))
	if err != nil {
		return nil, status, fmt.Errorf("%w: which addresses: %w", ErrUnavailable, err)
	}
	if list, _, err = wrapped.Objects("list"); err != nil {
		return nil, status, fmt.Errorf("%w: which addresses: %w", ErrUnavailable, err)
	}
	return list, status, nil
}

func (p *Provider) getAs(ctx context.Context, address, token string) (body []byte, status int, err error) {
	answer, err := p.fetch.GetAs(ctx, address, "Bearer "+token)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: ask %s who it is: %w", ErrUnavailable, p.name, err)
	}
	if answer.Status != http.StatusOK {
		return nil, answer.Status, fmt.Errorf("%w: ask %s who it is: status %d", ErrUnavailable, p.name, answer.Status)
	}
	return answer.Body, answer.Status, nil
}

// nameFrom takes the name from what the browser carried from Apple: the person's own words, unsigned, as long as they
// can be kept. The address in it is not taken: the token has the signed one (apple.md section 5).
func nameFrom(user string, s *Subject) {
	if user == "" || len(user) > 4*maxName {
		return
	}
	body, err := jose.ParseObject([]byte(user))
	if err != nil {
		return
	}
	name, _, err := body.Object("name")
	if err != nil {
		return
	}
	s.GivenName = information(name, "firstName", maxName)
	s.FamilyName = information(name, "lastName", maxName)
	if full := strings.TrimSpace(s.GivenName + " " + s.FamilyName); len(full) <= maxName {
		s.Name = full
	}
}
