package clientauth

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/internal/keyset"
)

// Whoever may register clients at will cannot fill the memory, or take the place of what the operator declared.
func TestTheKeysOfRegisteredClientsAreBounded(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &Service{Now: func() time.Time { return now }}
	of := func(id string, how domain.RegisteredBy) error {
		_, err := s.published.of(s, &domain.Client{ID: id, JWKSURI: "https://" + id + ".example/jwks", Registered: how})
		return err
	}
	for n := range maxPublished {
		if err := of(fmt.Sprint("r", n), domain.RegisteredByAnybody); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Millisecond)
	}
	if err := of("declared", ""); err != nil || len(s.published.sets) != maxPublished+1 {
		t.Errorf("%d sets, %v", len(s.published.sets), err)
	}
	if err := of("r0", domain.RegisteredByAnybody); err != nil { // used again: r1 is the idle one now
		t.Fatal(err)
	}
	if err := of("another", domain.RegisteredByAnybody); err != nil || len(s.published.sets) != maxPublished+1 {
		t.Errorf("%d sets, %v", len(s.published.sets), err)
	}
	for id, want := range map[string]bool{"r0": true, "r1": false, "r2": true, "declared": true, "another": true} {
		if _, there := s.published.sets[id]; there != want {
			t.Errorf("%s: %v", id, there)
		}
	}
}

// A client that is forgotten could be fetched again at once: none is before its minute is over (CA06).
func TestNoClientIsForgottenWithinAMinuteOfItsFetch(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &Service{Now: func() time.Time { return now }, Fetch: fetch.New(fetch.Options{})}
	ask := func(n int) error {
		c := &domain.Client{ID: fmt.Sprint("r", n), JWKSURI: "https://keys.local/", Registered: domain.RegisteredByAnybody} // refused, no socket
		_, err := s.Keys(t.Context(), c)
		return err
	}
	for n := range maxPublished {
		if err := ask(n); !errors.Is(err, fetch.ErrAddress) {
			t.Fatal(err)
		}
	}
	if err := ask(maxPublished); !errors.Is(err, errFull) || len(s.published.sets) != maxPublished {
		t.Errorf("%d sets, %v", len(s.published.sets), err)
	}
	now = now.Add(time.Minute)
	if err := ask(maxPublished); errors.Is(err, errFull) || len(s.published.sets) != maxPublished {
		t.Errorf("a minute later: %d sets, %v", len(s.published.sets), err)
	}
}

func TestTheKeysOfAClientAreThoseOfItsAddress(t *testing.T) {
	s := &Service{}
	c := &domain.Client{ID: "app", JWKSURI: "https://app.example/old", Registered: domain.RegisteredByToken}
	first, err1 := s.published.of(s, c)
	same, err2 := s.published.of(s, c)
	moved, err3 := s.published.of(s, &domain.Client{ID: "app", JWKSURI: "https://app.example/new", Registered: domain.RegisteredByToken})
	if err1 != nil || err2 != nil || err3 != nil || first != same || first == moved || s.published.registered != 1 {
		t.Errorf("%v %v %v, %d", err1, err2, err3, s.published.registered)
	}
}

// Anybody may let the server of their keys fall silent. The operator's own clients wait elsewhere.
func TestStrangersTakeNoPlaceOfADeclaredClient(t *testing.T) {
	s := &Service{Fetch: fetch.New(fetch.Options{})}
	ask := func(id string, how domain.RegisteredBy) error {
		_, err := s.Keys(t.Context(), &domain.Client{ID: id, JWKSURI: "https://keys.local/", Registered: how}) // refused, no socket
		return err
	}
	for n := range waitingRoom {
		if _, ok := s.published.strangers.Enter(waitingRoom, strangerShare, fmt.Sprint("r", n/strangerShare)); !ok {
			t.Fatal(n)
		}
	}
	if err := ask("another", domain.RegisteredByAnybody); errors.Is(err, fetch.ErrAddress) || !errors.Is(err, keyset.ErrUnavailable) {
		t.Errorf("one stranger more: %v", err)
	}
	if err := ask("declared", ""); !errors.Is(err, fetch.ErrAddress) {
		t.Errorf("a declared client: %v", err)
	}
}
