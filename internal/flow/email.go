package flow

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/mail"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
)

const (
	emailCodeTTL   = 10 * time.Minute
	maxGuesses     = 5  // wrong codes in one trip (ATTACKS SE09)
	guessesPerHour = 20 // wrong codes for one address, over all trips
	guessesInARow  = 100
	rowOfGuesses   = 30 * 24 * time.Hour
	mailTimeout    = 5 * time.Second
	doubleClick    = 10 * time.Second // of two forms within it that ask for a code at one address, the second is a slip
)

// SendCode sends a code to an address. Known or not, every address gets one and every answer is the same: signing in and
// signing up are one thing (ATTACKS SE13).
func (s *Service) SendCode(ctx context.Context, id domain.FlowID, v Visitor, address string) (*Outcome, error) {
	t, elsewhere, err := s.load(ctx, id, v)
	if err != nil || elsewhere != nil {
		return elsewhere, err
	}
	to, ok := domain.NormalEmail(strings.TrimSpace(address))
	if !ok {
		t.notice = NoticeEmail
		return s.login(ctx, t)
	}
	if p := t.p.Email; p != nil && p.Address == to && t.now.Sub(p.SentAt) < doubleClick {
		return t.again(), nil
	}
	return s.sendCode(ctx, t, to)
}

// sendCode sends a code and counts it. The step comes first: of two clicks one sends and one counts.
func (s *Service) sendCode(ctx context.Context, t *trip, to string) (*Outcome, error) {
	switch {
	case !s.byEmail(t) || s.Mail == nil:
		t.notice = NoticeEmail
		return s.login(ctx, t)
	case t.flow.Attempts >= maxGuesses:
		return s.spent(ctx, t)
	}
	leave, ok := s.mailing.Enter(mailRoom, mailRoom)
	if !ok {
		event.Add(ctx, "cause", "no room: too many mails are being sent at this moment")
		return s.unsent(ctx, t, NoticeMail)
	}
	defer leave()
	limits := s.mailLimits(t.visitor, to)
	switch full, err := s.full(ctx, t.now, limits); {
	case err != nil:
		return nil, err
	case full != "":
		return s.unsent(ctx, t, full)
	}
	before := t.p.Email
	t.p.Errand, t.p.Email = nil, &emailProof{Address: to, Code: sixDigits(), SentAt: t.now}
	if _, known := s.counted(t.visitor, to); !known {
		t.p.Email.askedFrom(t.visitor.IP, before)
	}
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	notice, err := s.mail(ctx, t, limits)
	if err != nil {
		return nil, err
	}
	if notice == "" {
		return t.emailCode(), nil
	}
	t.p.Email = before // nobody waits for what was not sent
	if took, err := s.step(ctx, t); err != nil || !took {
		return t.again(), err
	}
	return s.unsent(ctx, t, notice)
}

// mail hands the code of the trip to the mail server, if the limits leave one; the notice says why it did not. What fails
// is not counted, unless it is the recipient who is none (that costs us our name with other servers), the mail may be on
// its way all the same, or whoever asked did not wait to hear.
func (s *Service) mail(ctx context.Context, t *trip, limits []limit) (Notice, error) {
	if full, err := s.take(ctx, t.now, limits); err != nil || full != "" {
		return full, err
	}
	letter := s.Letters(t.p.Email.Code, t.client.DisplayName(), t.flow.Request.Locales, t.visitor.AcceptLanguage)
	letter.To = t.p.Email.Address
	soon, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	failed := s.Mail.Send(soon, letter)
	if failed == nil {
		return "", nil
	}
	event.Add(ctx, "cause", mail.Cause(failed))
	if errors.Is(failed, mail.ErrFailed) && !mail.Unsure(failed) && ctx.Err() == nil {
		return NoticeMail, s.giveBack(ctx, limits)
	}
	return NoticeMail, nil
}

// unsent says why no mail went out, on the page the person is on.
func (s *Service) unsent(ctx context.Context, t *trip, n Notice) (*Outcome, error) {
	t.notice = n
	if t.p.Email != nil {
		return t.emailCode(), nil
	}
	return s.login(ctx, t)
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
	whom, _ := s.counted(v, proof.Address)
	address := tallyKey("code", whom)
	mayGuess, err := s.guess(ctx, t.now, address, guessesPerHour)
	switch {
	case err != nil:
		return nil, err
	case !mayGuess:
		return s.spent(ctx, t)
	}
	if within, err = s.withinRow(ctx, t, proof.Address); err != nil {
		return nil, err
	}
	if !within {
		return s.spent(ctx, t)
	}
	if subtle.ConstantTimeCompare([]byte(digits(code)), []byte(proof.Code)) != 1 {
		if attempts >= maxGuesses {
			return s.spent(ctx, t)
		}
		t.notice = NoticeCode
		return t.emailCode(), nil
	}
	if err := s.proved(ctx, address, proof); err != nil {
		return nil, err
	}
	return s.arrive(ctx, t, signin.Arrival{Email: proof.Address, AMR: []string{domain.AMRCode}, AuthTime: t.now})
}

// withinRow counts a guess that no right one has followed, for the mailbox and whatever trips and hours it is spread over:
// an hourly limit alone leaves whoever has months a fair chance. Browsers that are known are not counted (ATTACKS SE09, DS06).
func (s *Service) withinRow(ctx context.Context, t *trip, address string) (bool, error) {
	if _, known := s.counted(t.visitor, address); known {
		return true, nil
	}
	n, err := s.DB.Tally(ctx, tallyKey("code/row", mailbox(address)), t.now, rowOfGuesses)
	if err != nil {
		return false, oauth.Unavailable(err)
	}
	return n <= guessesInARow, nil
}

// proved takes back what a code that was right had counted: the guess, and the mails that were asked for. Only what leads
// nowhere counts, or people behind one address would keep each other out by signing in. The row of guesses is broken.
func (s *Service) proved(ctx context.Context, guess [32]byte, proof *emailProof) error {
	if err := s.DB.ForgetTally(ctx, tallyKey("code/row", mailbox(proof.Address))); err != nil {
		return oauth.Unavailable(err)
	}
	counts := []limit{{key: guess}}
	for range proof.Asked {
		counts = append(counts, limit{key: askedFrom(proof.Network)})
	}
	return s.giveBack(ctx, counts)
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
	out, err := s.sendCode(ctx, t, t.p.Email.Address)
	if err == nil && out.EmailCode != nil && out.EmailCode.Notice == "" {
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
