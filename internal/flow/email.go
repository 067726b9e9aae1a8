package flow

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
)

const (
	emailCodeTTL   = 10 * time.Minute
	maxGuesses     = 5  // wrong codes in one trip (ATTACKS SE09)
	guessesPerHour = 20 // wrong codes for one address, over all trips
	mailsPerDay    = 10 // to one address
	mailsPerHour   = 3
)

// SendCode sends a code to an address. Known or not, every address gets one and every answer is the same: signing in and
// signing up are one thing (ATTACKS SE13).
func (s *Service) SendCode(ctx context.Context, id domain.FlowID, v Visitor, address string) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	to, ok := domain.NormalEmail(strings.TrimSpace(address))
	if !t.byEmail() || s.Mail == nil || !ok {
		t.notice = NoticeEmail
		return s.login(ctx, t)
	}
	if t.flow.Attempts >= maxGuesses {
		return s.spent(ctx, t)
	}
	within, err := s.mayMail(ctx, t, to)
	if err != nil {
		return nil, err
	}
	if !within {
		t.notice = NoticeMailLimit
		return s.login(ctx, t)
	}
	t.p.Errand, t.p.Email = nil, &emailProof{Address: to, Code: sixDigits(), SentAt: t.now}
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	letter := s.Letters(t.p.Email.Code, t.client.DisplayName(), t.flow.Request.Locales, v.AcceptLanguage)
	letter.To = to
	if err := s.Mail.Send(ctx, letter); err != nil {
		event.Add(ctx, "cause", err.Error())
		t.notice, t.p.Email = NoticeMail, nil
		if took, err := s.step(ctx, t); err != nil || !took {
			return t.again(), err
		}
		return s.login(ctx, t)
	}
	return t.emailCode(), nil
}

// mayMail counts the mails to an address, over all nodes.
func (s *Service) mayMail(ctx context.Context, t *trip, to string) (bool, error) {
	perHour := int64(orDefault(s.MailsPerHour, mailsPerHour))
	for _, limit := range []struct {
		name   string
		most   int64
		window time.Duration
	}{{"mail/hour", perHour, time.Hour}, {"mail/day", mailsPerDay * perHour / mailsPerHour, 24 * time.Hour}} {
		if perHour < 0 {
			return true, nil
		}
		n, err := s.DB.Tally(ctx, tallyKey(limit.name, to), t.now, limit.window)
		if err != nil {
			return false, oauth.Unavailable(err)
		}
		if n > limit.most {
			return false, nil
		}
	}
	return true, nil
}

// tallyKey names what is counted; the address itself is not kept.
func tallyKey(what, whom string) [32]byte { return sha256.Sum256([]byte(what + "\x00" + whom)) }

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// sixDigits is a code one can type. A million is few: guesses are counted before they are compared.
func sixDigits() string {
	n, _ := rand.Int(rand.Reader, big.NewInt(1_000_000)) // never fails since Go 1.24
	return fmt.Sprintf("%06d", n)
}

// CheckCode takes the code from the mail. The guess is counted before it is compared, so that guesses side by side are as
// many as one after the other.
func (s *Service) CheckCode(ctx context.Context, id domain.FlowID, v Visitor, code string) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	proof := t.p.Email
	if proof == nil {
		return t.again(), nil
	}
	if t.now.Sub(proof.SentAt) > emailCodeTTL {
		return s.forgetCode(ctx, t, NoticeCodeOver)
	}
	attempts, within, err := s.DB.AttemptFlow(ctx, t.flow.ID, maxGuesses)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	if !within { // no step: the last guess ends the code, or is signing in at this moment
		t.notice = NoticeGuessed
		return t.emailCode(), nil
	}
	address := tallyKey("code", proof.Address)
	mayGuess, err := s.guess(ctx, t.now, address, guessesPerHour)
	switch {
	case err != nil:
		return nil, err
	case !mayGuess:
		return s.spent(ctx, t)
	}
	if subtle.ConstantTimeCompare([]byte(digits(code)), []byte(proof.Code)) != 1 {
		if attempts >= maxGuesses {
			return s.spent(ctx, t)
		}
		t.notice = NoticeCode
		return t.emailCode(), nil
	}
	if err := s.DB.Untally(ctx, address); err != nil {
		return nil, oauth.Unavailable(err)
	}
	return s.arrive(ctx, t, signin.Arrival{Email: proof.Address, AMR: []string{domain.AMRCode}, AuthTime: t.now})
}

// guess counts a try before it is looked at, over all nodes, so that tries side by side are as many as one after the
// other. One that was right is taken back (Untally): only failures count. A negative limit is none.
func (s *Service) guess(ctx context.Context, now time.Time, key [32]byte, perHour int64) (ok bool, err error) {
	n, err := s.DB.Tally(ctx, key, now, time.Hour)
	if err != nil {
		return false, oauth.Unavailable(err)
	}
	return perHour < 0 || n <= perHour, nil
}

// ForgetCode goes back to the ways to sign in.
func (s *Service) ForgetCode(ctx context.Context, id domain.FlowID, v Visitor) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	return s.forgetCode(ctx, t, "")
}

// ResendCode sends a new code to the same address; the one before is good no longer.
func (s *Service) ResendCode(ctx context.Context, id domain.FlowID, v Visitor) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	if t.p.Email == nil {
		return t.again(), nil
	}
	out, err := s.SendCode(ctx, id, v, t.p.Email.Address)
	if err == nil && out.EmailCode != nil {
		out.EmailCode.Notice = NoticeSent
	}
	return out, err
}

func (s *Service) forgetCode(ctx context.Context, t *trip, n Notice) (*Outcome, error) {
	t.p.Email, t.notice = nil, n
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	return s.login(ctx, t)
}

// spent ends what guessing was left: this trip takes no code any more.
func (s *Service) spent(ctx context.Context, t *trip) (*Outcome, error) {
	event.Add(ctx, "alarm", "email_code.guessed")
	return s.forgetCode(ctx, t, NoticeGuessed)
}

func (t *trip) emailCode() *Outcome {
	out := t.out
	out.EmailCode = &EmailCode{Shown: t.shown(), Email: t.p.Email.Address}
	return &out
}

// digits leaves out what people type between them.
func digits(code string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, code)
}
