package mail

import (
	"errors"
	"fmt"
	"testing"

	gomail "github.com/wneessen/go-mail"
)

func TestAMessageWithoutAWordAtItsEndMayHaveArrived(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&gomail.SendError{Reason: gomail.ErrSMTPDataClose}, true},
		{fmt.Errorf("%w: %w", ErrFailed, &gomail.SendError{Reason: gomail.ErrSMTPDataClose}), true},
		{&gomail.SendError{Reason: gomail.ErrSMTPData}, false},
		{&gomail.SendError{Reason: gomail.ErrSMTPRcptTo}, false},
		{errors.New("connection refused"), false},
	} {
		if got := Unsure(tt.err); got != tt.want {
			t.Errorf("%v: %t", tt.err, got)
		}
	}
}
