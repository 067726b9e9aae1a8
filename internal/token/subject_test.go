package token

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
)

func pairwise(id, sector string) *domain.Client {
	return &domain.Client{ID: id, Type: domain.ClientWeb, AuthMethod: domain.AuthSecretBasic, Pairwise: true, Sector: sector}
}

// oidc-core-8.1-01
func TestASubjectIsOfOneSectorAndOneAccount(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		ada, bob := domain.NewID[domain.AccountID](), domain.NewID[domain.AccountID]()
		seen := map[string]string{}
		for name, of := range map[string]struct {
			c  *domain.Client
			id domain.AccountID
		}{
			"ada at a": {pairwise("x", "a.example"), ada}, "bob at a": {pairwise("x", "a.example"), bob},
			"ada at b": {pairwise("x", "b.example"), ada}, "ada in public": {phone, ada},
		} {
			sub, err := h.Subject(of.c, of.id)
			if err != nil || seen[sub] != "" {
				t.Errorf("%s is %q, as %s: %v", name, sub, seen[sub], err)
			}
			seen[sub] = name
			if strings.HasPrefix(sub, domain.PairwisePrefix) != of.c.Pairwise || !h.Knows(of.c, sub, of.id) || h.Knows(of.c, sub, domain.NewID[domain.AccountID]()) {
				t.Errorf("%s: %q", name, sub)
			}
			if of.c.Pairwise && strings.Contains(sub, strings.TrimPrefix(of.id.String(), "acc_")) {
				t.Errorf("%s tells whose it is: %q", name, sub)
			}
		}
		one, err1 := h.Subject(pairwise("x", "a.example"), ada)
		two, err2 := h.Subject(&domain.Client{ID: "y", Pairwise: true, RedirectURIs: []string{"https://A.example/cb"}}, ada)
		if err1 != nil || err2 != nil || one != two {
			t.Errorf("%q and %q, %v %v", one, two, err1, err2)
		}
		if sub, err := h.Subject(pairwise("x", ""), ada); sub != "" || err == nil {
			t.Errorf("of no sector: %q, %v", sub, err)
		}
	})
}

// An access token is held against the account of its session, by the sector its client is of now.
func TestThePairwiseSubjectOfATokenIsHeldAgainstItsAccount(t *testing.T) {
	onBothEngines(t, func(t *testing.T, h *house) {
		ctx, ada := t.Context(), domain.NewID[domain.AccountID]()
		client := pairwise("x", "a.example")
		sub, err := h.Subject(client, ada)
		if err != nil {
			t.Fatal(err)
		}
		down := errors.New("down")
		for name, tt := range map[string]struct {
			found *domain.Client
			fault error
			id    domain.AccountID
			want  bool
		}{
			"its own":          {client, nil, ada, true},
			"of somebody else": {client, nil, domain.NewID[domain.AccountID](), false},
			"another sector":   {pairwise("x", "b.example"), nil, ada, false},
			"public by now":    {&domain.Client{ID: "x"}, nil, ada, false},
			"gone":             {nil, nil, ada, false},
			"no answer":        {nil, oauth.Unavailable(down), ada, false},
		} {
			h.Client = func(context.Context, string) (*domain.Client, error) { return tt.found, tt.fault }
			got, err := h.of(ctx, sub, "x", tt.id)
			if got != tt.want || (tt.fault != nil) != errors.Is(err, down) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	})
}
