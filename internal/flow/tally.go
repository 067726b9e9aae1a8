package flow

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/oauth"
)

const (
	mailsPerDay   = 10 // to one recipient
	mailsPerHour  = 3
	mailsAskedFor = 30 // an hour, from one network address, of those that lead to no sign-in
)

// limit is how many of something there may be in a window, counted by all nodes together.
type limit struct {
	key    [32]byte
	most   int64
	window time.Duration
	says   Notice // to whoever is beyond it
}

// mailLimits are what a mail to an address counts against. A browser that is known for the address has a count of its
// own: neither strangers nor neighbours behind the same network address keep it from a code (ATTACKS DS06).
func (s *Service) mailLimits(v Visitor, to string) (list []limit) {
	whom, known := s.counted(v, to)
	if most := int64(orDefault(s.MailsAskedPerHour, mailsAskedFor)); most >= 0 && !known && v.IP != "" {
		list = append(list, limit{askedFrom(v.IP), most, time.Hour, NoticeMailNetwork})
	}
	if most := int64(orDefault(s.MailsPerHour, mailsPerHour)); most >= 0 {
		list = append(list, limit{tallyKey("mail/hour", whom), most, time.Hour, NoticeMailLimit},
			limit{tallyKey("mail/day", whom), mailsPerDay * most / mailsPerHour, 24 * time.Hour, NoticeMailLimit})
	}
	return list
}

// askedFrom names the count of mails that were asked for at a network address and led to no sign-in.
func askedFrom(ip string) [32]byte { return tallyKey("mail/asked", ip) }

// counted is under which name an address is counted: the mailbox, or the mailbox and the browser that is known for it.
func (s *Service) counted(v Visitor, address string) (whom string, known bool) {
	id, known := s.recognise(v.Known, address)
	if !known {
		return mailbox(address), false
	}
	return mailbox(address) + "\x00" + string(id), true
}

// mailbox folds the spellings that most mail servers put into one box: case, what follows a plus and, at Google, dots.
// It is for counting only; two spellings are two addresses for everything else (ATTACKS ID13).
func mailbox(address string) string {
	local, host, _ := strings.Cut(strings.ToLower(address), "@")
	local, _, _ = strings.Cut(local, "+")
	if host == "gmail.com" || host == "googlemail.com" {
		local, host = strings.ReplaceAll(local, ".", ""), "gmail.com"
	}
	return local + "@" + host
}

// full tells which of the limits has nothing left, by what it says; empty: none. It counts nothing.
func (s *Service) full(ctx context.Context, now time.Time, limits []limit) (Notice, error) {
	for _, l := range limits {
		n, err := s.DB.Tallied(ctx, l.key, now)
		if err != nil {
			return "", oauth.Unavailable(err)
		}
		if n >= l.most {
			return l.says, nil
		}
	}
	return "", nil
}

// take counts one against each limit, or against none: then it returns what the one that is full says.
func (s *Service) take(ctx context.Context, now time.Time, limits []limit) (Notice, error) {
	for i, l := range limits {
		n, err := s.DB.Tally(ctx, l.key, now, l.window)
		if err != nil {
			return "", oauth.Unavailable(err)
		}
		if n > l.most {
			return l.says, s.giveBack(ctx, limits[:i+1])
		}
	}
	return "", nil
}

func (s *Service) giveBack(ctx context.Context, limits []limit) error {
	for _, l := range limits {
		if err := s.DB.Untally(ctx, l.key); err != nil {
			return oauth.Unavailable(err)
		}
	}
	return nil
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

// tallyKey names what is counted; the address itself is not kept.
func tallyKey(what, whom string) [32]byte { return sha256.Sum256([]byte(what + "\x00" + whom)) }

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
