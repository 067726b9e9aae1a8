package flow

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

// progress is what a trip under way must remember and nobody else may read: it is sealed in the flow's row.
type progress struct {
	Own    bool      `json:"own,omitempty"`    // somebody proved themselves in this very trip
	OwnAt  time.Time `json:"own_at,omitzero"`  // when they did
	Chosen bool      `json:"chosen,omitempty"` // the person said: go on as this account
	Agreed bool      `json:"agreed,omitempty"` // and: the client may
	// Switched: somebody else signed in meanwhile, in another tab; whoever it is now is to be asked.
	Switched bool `json:"switched,omitempty"`
	// As is the account that proved, chose and agreed; zero: whoever arrived last.
	As     domain.AccountID `json:"as,omitzero"`
	Errand *errand          `json:"errand,omitempty"` // the trip to a provider
	Email  *emailProof      `json:"email,omitempty"`
	// Passkey is the challenge shown on the login page, NewPasskey that of the offer to make one.
	Passkey    *challenge `json:"passkey,omitempty"`
	NewPasskey *challenge `json:"new_passkey,omitempty"`
	Offered    bool       `json:"offered,omitempty"` // a passkey was offered
}

// errand is one trip to a provider: begun once, answered once.
type errand struct {
	Provider string    `json:"provider"`
	Secret   string    `json:"secret"` // the second half of state
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Answer   *answer   `json:"answer,omitempty"` // posted across sites, to be taken up where the cookie is seen
	BegunAt  time.Time `json:"begun_at"`
}

// answer is what a provider's POST carried.
type answer struct {
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"`
	Issuer string `json:"iss,omitempty"`
	User   string `json:"user,omitempty"`
}

// emailProof is a code on its way to an address.
type emailProof struct {
	Address string    `json:"address"` // normalised
	Code    string    `json:"code"`
	SentAt  time.Time `json:"sent_at"`
	// Asked is how many mails to the address this trip has asked for that count against the network address.
	Network string `json:"network,omitempty"`
	Asked   int    `json:"asked,omitempty"`
}

// askedFrom notes against which network address the mail counts, with those before it to the same mailbox.
func (p *emailProof) askedFrom(ip string, before *emailProof) {
	p.Network, p.Asked = ip, 1
	if before != nil && before.Address == p.Address && before.Network == ip {
		p.Asked += before.Asked
	}
}

func progressAAD(id domain.FlowID) string { return "flows/" + id.String() + "/progress" }

func (s *Service) sealed(id domain.FlowID, p progress) ([]byte, error) {
	text, err := json.Marshal(p)
	if err == nil {
		text, err = s.Keys.Seal(progressAAD(id), text)
	}
	if err != nil {
		return nil, oauth.Unavailable(fmt.Errorf("seal a flow's progress: %w", err))
	}
	return text, nil
}

func (s *Service) opened(f *domain.Flow) (p progress, err error) {
	if len(f.Progress) == 0 {
		return p, nil
	}
	text, err := s.Keys.Open(progressAAD(f.ID), f.Progress)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, oauth.Unavailable(fmt.Errorf("open a flow's progress: %w", err))
	}
	return p, nil
}
