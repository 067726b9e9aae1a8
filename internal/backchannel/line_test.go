package backchannel

import (
	"slices"
	"testing"
	"time"
)

var noon = time.Unix(1_700_000_000, 0)

func TestOneClientDoesNotTakeAllHands(t *testing.T) {
	var l lines
	for range perClient {
		if l.places("slow", noon) == 0 {
			t.Fatal("closed too early")
		}
		l.enter("slow")
	}
	if l.places("slow", noon) != 0 || l.places("quick", noon) != perClient || !slices.Equal(l.closed(noon), []string{"slow"}) {
		t.Errorf("the bound is not one client's own: %v", l.closed(noon))
	}
	l.leave("slow")
	if l.places("slow", noon) != 1 || l.closed(noon) != nil {
		t.Error("a hand that came free is not used")
	}
}

func TestAClientThatDoesNotAnswerIsLeftAloneLongerEveryTime(t *testing.T) {
	var l lines
	now, before := noon, time.Duration(0)
	for round := 1; round < 20; round++ {
		for i := range perClient {
			l.enter("gone")
			if got := l.failed("gone", now); i == 0 && got != round || i > 0 && got != 0 {
				t.Fatalf("tries that fail together are %d rounds, not %d", got, round)
			}
		}
		for range perClient {
			l.leave("gone")
		}
		next := l.open["gone"].until
		pause := next.Sub(now)
		if pause < before || pause < 2*time.Second || pause > time.Minute {
			t.Fatalf("after %d rounds: %v", round, pause)
		}
		if l.places("gone", next.Add(-1)) != 0 || l.places("gone", next) != 1 {
			t.Fatalf("after %d rounds: %d places before its time, %d then", round, l.places("gone", next.Add(-1)), l.places("gone", next))
		}
		now, before = next, pause
	}
	l.enter("gone")
	if l.places("gone", now) != 0 {
		t.Error("a client that did not answer is tried with more than one hand")
	}
	l.answered("gone")
	l.leave("gone")
	if l.places("gone", now) != perClient || len(l.open) != 0 {
		t.Errorf("it answered, and is not forgotten: %+v", l.open)
	}
}
