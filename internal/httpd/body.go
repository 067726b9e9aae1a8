package httpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/countersign/countersign/internal/oauth"
)

// takenBody is a body that was read before its request got a place among those in flight, so that whoever dribbles
// holds up nobody else. What went wrong is kept for the door: it knows how its answers look.
type takenBody struct {
	text []byte
	err  error // nil: it is whole
	rest int   // where Read goes on
}

// announcedAtMost is how much of an announced length is believed before it is there.
const announcedAtMost = 8 << 10

// takeBody reads a body to its end or its cap.
func takeBody(r *http.Request) *takenBody {
	room := min(max(r.ContentLength, 0), announcedAtMost) + bytes.MinRead
	b := bytes.NewBuffer(make([]byte, 0, room))
	_, err := b.ReadFrom(r.Body)
	return &takenBody{text: b.Bytes(), err: err}
}

// Read is for handlers that are no door of ours.
func (b *takenBody) Read(p []byte) (n int, err error) {
	n = copy(p, b.text[b.rest:])
	b.rest += n
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case b.err != nil:
		return 0, b.err
	}
	return 0, io.EOF
}

// Close does nothing: net/http closes the body it made itself.
func (b *takenBody) Close() error { return nil }

// readBody returns it all; the middleware has capped it.
func readBody(r *http.Request) ([]byte, error) {
	taken, ok := r.Body.(*takenBody)
	if !ok {
		taken = takeBody(r)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(taken.err, &tooLarge):
		return nil, errTooLarge
	case errors.Is(taken.err, os.ErrDeadlineExceeded):
		// A bad network is no mistake of the app's: 400 would tell it to give up.
		return nil, oauth.Unavailable(fmt.Errorf("the body did not come in time: %w", taken.err))
	case taken.err != nil:
		return nil, oauth.E(oauth.InvalidRequest, "The body of the request broke off.").Because(taken.err)
	}
	return taken.text, nil
}
