package limits_test

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

// DS02: whoever dribbles is cut off after 5 s (headers) and 10 s (body), and until then nobody else is kept waiting,
// by however many: there are more slow bodies here than requests that may be in flight.
func TestDS02WhoeverDribblesIsCutOffAndHoldsUpNobody(t *testing.T) {
	w := onSQLite(t)
	const (
		crowd   = 600
		head    = "POST /token HTTP/1.1\r\nHost: localhost\r\n"
		started = head + "Content-Type: " + formType + "\r\nContent-Length: 60000\r\n\r\ngrant_type="
	)
	for _, tt := range []struct {
		name, first, more string
		from, to          time.Duration // the connection ends
	}{
		{"headers", head, "X-A: b\r\n", 4 * time.Second, 7 * time.Second},
		{"bodies", started, "a", 9 * time.Second, 13 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all sync.WaitGroup
			lasted := make(chan time.Duration, crowd)
			for range crowd {
				conn := w.dial(t)
				if _, err := io.WriteString(conn, tt.first); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				all.Go(func() {
					dribble(conn, tt.more)
					lasted <- time.Since(began)
				})
			}
			w.othersWorkWhile(t, func() { all.Wait() })
			close(lasted)
			for d := range lasted {
				if d < tt.from || d > tt.to {
					t.Fatalf("a connection was held for %v", d)
				}
			}
		})
	}
}

// dribble sends a little every second until the other side has had enough.
func dribble(conn net.Conn, more string) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, more); err != nil {
				<-ended
				return
			}
		}
	}
}

// othersWorkWhile lets a phone and a service work until the attack is over.
func (w *world) othersWorkWhile(t *testing.T, attack func()) {
	t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		attack()
	}()
	tokens := w.bearer(t, harness.ClientID)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for served := 0; ; served++ {
		select {
		case <-over:
			if served < 20 {
				t.Errorf("only %d others were served meanwhile", served)
			}
			return
		case <-tick.C:
		}
		if served < 20 { // a session has a pace of its own
			a := w.Refresh(harness.ClientID, tokens.RefreshToken)
			if a.Status != http.StatusOK {
				t.Errorf("the phone got %d %s", a.Status, a.Body)
			}
			tokens.RefreshToken = a.String("refresh_token")
		}
		w.works(t)
		if t.Failed() {
			return
		}
	}
}

// DS02: connections that say nothing cost nobody anything, before their first request and after it.
func TestDS02IdleConnectionsHoldUpNobody(t *testing.T) {
	w := onSQLite(t)
	const crowd = 500
	for i := range crowd {
		conn := w.dial(t)
		if i%2 == 0 {
			continue
		}
		if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if a := answer(t, conn); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	for range 20 {
		w.works(t)
	}
	p := w.SignedIn("phone", "ada")
	if _, err := p.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}
