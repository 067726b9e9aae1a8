package httpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/countersign/countersign/internal/oauth"
)

// takenBody is a body that was read before its request got a place among those in flight, so that whoever dribbles
// holds up nobody else. What went wrong is kept for the door: it knows how its answers look.
type takenBody struct {
	source countedBody
	text   []byte
	err    error // nil: it is whole
	rest   int   // where Read goes on
}

// announcedAtMost is how much of an announced length is believed before it is there.
const announcedAtMost = 8 << 10

// takeBody reads a body to its end, its cap or the end of the room, which may be nil.
func takeBody(r *http.Request, room *bodyRoom) *takenBody {
	t := &takenBody{source: countedBody{from: r.Body, room: room}}
	b := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), announcedAtMost)+bytes.MinRead))
	_, t.err = b.ReadFrom(&t.source)
	t.text = b.Bytes()
	return t
}

// bodyRoom bounds what the bodies of a listener hold together, from their first byte until they are answered: they are
// read before their requests are counted as in flight, so the number of connections would be the only bound. The first
// announcedAtMost bytes of each are not counted, for a connection takes as much by itself: whoever fills the room with
// large bodies, however slowly, shuts out other large ones and no sign-in or refresh (DS).
type bodyRoom struct{ left atomic.Int64 }

var errNoRoom = errors.New("the bodies of requests take more memory than this node gives them")

func (b *bodyRoom) take(bytes int64) bool {
	if b == nil || b.left.Add(-bytes) >= 0 {
		return true
	}
	b.left.Add(bytes)
	return false
}

func (b *bodyRoom) give(bytes int64) { b.left.Add(bytes) }

// countedBody takes room as a body grows.
type countedBody struct {
	from  io.Reader
	room  *bodyRoom
	read  int64
	taken int64 // of the room
}

// Read returns errNoRoom where there is none.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read += int64(n)
	if more := c.read - announcedAtMost - c.taken; more > 0 {
		if !c.room.take(more) {
			return n, errNoRoom
		}
		c.taken += more
	}
	return n, err
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
		taken = takeBody(r, nil)
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
