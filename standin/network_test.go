package standin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/standin"
)

// arrival is one request as a server saw it.
type arrival struct {
	Method, Host, URI, Body, DPoP string
	BodyErr                       bool
}

// ear is a real server that remembers what arrives.
type ear struct {
	*httptest.Server
	arrived chan arrival
}

func newEar(t *testing.T) *ear {
	t.Helper()
	e := &ear{arrived: make(chan arrival, 64)}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		e.arrived <- arrival{
			Method: r.Method, Host: r.Host, URI: r.RequestURI, Body: string(body), DPoP: r.Header.Get("DPoP"), BodyErr: err != nil,
		}
		w.Header().Set("DPoP-Nonce", "a nonce")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"heard":true}`))
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *ear) host() string { return strings.TrimPrefix(e.URL, "http://") }

func newNetwork(t *testing.T) *standin.Network {
	t.Helper()
	n, err := standin.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// speak sends a request through the network and reads the answer to its end.
func speak(ctx context.Context, n *standin.Network, method, address, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("DPoP", "a proof")
	resp, err := n.Client().Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

func TestEveryFaultDoesWhatItSays(t *testing.T) {
	whole := arrival{Method: http.MethodPost, URI: "/token?x=1", Body: "a=1&b=2", DPoP: "a proof"}
	half := arrival{Method: http.MethodPost, URI: "/token?x=1", Body: "a=1", DPoP: "a proof", BodyErr: true}
	tests := map[standin.FaultKind]struct {
		heard   bool // by the phone
		arrived []arrival
	}{
		standin.Deliver:      {heard: true, arrived: []arrival{whole}},
		standin.LoseRequest:  {},
		standin.LoseResponse: {arrived: []arrival{whole}},
		standin.LateResponse: {heard: true, arrived: []arrival{whole}},
		standin.CutRequest:   {arrived: []arrival{half}},
		standin.CutResponse:  {arrived: []arrival{whole}},
		standin.Duplicate:    {heard: true, arrived: []arrival{whole, whole}},
	}
	for kind, test := range tests {
		t.Run(kind.String(), func(t *testing.T) {
			server, network := newEar(t), newNetwork(t)
			network.Next("/token", standin.Fault{Kind: kind})
			_, answer, err := speak(t.Context(), network, http.MethodPost, server.URL+"/token?x=1", "a=1&b=2")
			if heard := err == nil && answer == `{"heard":true}`; heard != test.heard {
				t.Errorf("the phone got %q, %v", answer, err)
			}
			for _, want := range test.arrived {
				want.Host = server.host()
				if diff := cmp.Diff(want, <-server.arrived); diff != "" {
					t.Errorf("arrived (-want +got):\n%s", diff)
				}
			}
			// The fault is used up: the next request gets through, and nothing else has arrived before it.
			if _, _, err := speak(t.Context(), network, http.MethodGet, server.URL+"/next", ""); err != nil {
				t.Errorf("the next request: %v", err)
			}
			if next := <-server.arrived; next.URI != "/next" {
				t.Errorf("also arrived: %+v", next)
			}
		})
	}
}

func TestAScriptedFaultWaitsForItsPath(t *testing.T) {
	server, network := newEar(t), newNetwork(t)
	network.Next("/token", standin.Fault{Kind: standin.LoseRequest}, standin.Fault{Kind: standin.LoseResponse})
	network.Next("", standin.Fault{Kind: standin.CutResponse})
	var got []bool
	for _, path := range []string{"/token", "/other", "/token", "/token"} {
		_, _, err := speak(t.Context(), network, http.MethodPost, server.URL+path, "")
		got = append(got, err == nil)
	}
	if want := []bool{false, false, false, true}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
}

func TestAHeldMessageArrivesWhenItIsLetGo(t *testing.T) {
	server, network := newEar(t), newNetwork(t)
	letGo := make(chan struct{})
	network.Next("/token", standin.Fault{Kind: standin.Duplicate, Until: letGo})
	if _, _, err := speak(t.Context(), network, http.MethodPost, server.URL+"/token", "first"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := speak(t.Context(), network, http.MethodPost, server.URL+"/token", "second"); err != nil {
		t.Fatal(err)
	}
	close(letGo)
	var bodies []string
	for range 3 {
		bodies = append(bodies, (<-server.arrived).Body)
	}
	if want := []string{"first", "second", "first"}; !slices.Equal(bodies, want) {
		t.Errorf("arrived %v, want %v", bodies, want)
	}
}

func TestClosingDropsWhatIsHeld(t *testing.T) {
	server := newEar(t)
	network, err := standin.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	network.Next("", standin.Fault{Kind: standin.Duplicate, Until: make(chan struct{})})
	if _, _, err := speak(t.Context(), network, http.MethodPost, server.URL, "first"); err != nil {
		t.Fatal(err)
	}
	network.Close() // returns, though the copy was never let go
	if len(server.arrived) != 1 {
		t.Errorf("%d requests arrived, want 1", len(server.arrived))
	}
}

func TestTheObserverSeesWhatThePhoneDoesNot(t *testing.T) {
	server, network := newEar(t), newNetwork(t)
	told := make(chan standin.Delivery, 2)
	network.Observe(func(d standin.Delivery) { told <- d })
	network.Next("", standin.Fault{Kind: standin.LoseResponse}, standin.Fault{Kind: standin.LoseRequest})
	for range 2 {
		if _, _, err := speak(t.Context(), network, http.MethodPost, server.URL+"/token", ""); err == nil {
			t.Error("an answer arrived")
		}
	}
	want := []standin.Delivery{
		{
			Method: http.MethodPost, URL: server.URL + "/token", Fault: standin.LoseResponse,
			Status: http.StatusOK, Body: []byte(`{"heard":true}`),
		},
		{Method: http.MethodPost, URL: server.URL + "/token", Fault: standin.LoseRequest},
	}
	if diff := cmp.Diff(want, []standin.Delivery{<-told, <-told}); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestOneSeedOneWeather(t *testing.T) {
	server := newEar(t)
	weather := func(seed uint64) []standin.FaultKind {
		network := newNetwork(t)
		network.Random(seed, standin.Rates{LoseRequest: 0.25, LoseResponse: 0.25, CutResponse: 0.25})
		told := make(chan standin.Delivery, 1)
		network.Observe(func(d standin.Delivery) { told <- d })
		var kinds []standin.FaultKind
		for range 12 {
			_, _, _ = speak(t.Context(), network, http.MethodGet, server.URL, "")
			kinds = append(kinds, (<-told).Fault)
		}
		return kinds
	}
	first := weather(7)
	if again := weather(7); !slices.Equal(first, again) {
		t.Errorf("seed 7 brought %v, then %v", first, again)
	}
	if other := weather(8); slices.Equal(first, other) {
		t.Errorf("seeds 7 and 8 both brought %v", first)
	}
}

func TestRoutesSpreadAHostOverItsNodes(t *testing.T) {
	first, second, network := newEar(t), newEar(t), newNetwork(t)
	if err := network.Route("login.example", first.host(), second.host()); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, _, err := speak(t.Context(), network, http.MethodGet, "http://login.example/jwks", ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(first.arrived) != 2 || len(second.arrived) != 2 {
		t.Errorf("%d and %d requests, want 2 each", len(first.arrived), len(second.arrived))
	}
	if got := (<-first.arrived).Host; got != "login.example" {
		t.Errorf("Host %q", got)
	}
	second.Close()
	answered := 0
	for range 2 {
		if _, _, err := speak(t.Context(), network, http.MethodGet, "http://login.example/jwks", ""); err == nil {
			answered++
		}
	}
	if answered != 1 {
		t.Errorf("with one node dead %d of 2 requests were answered", answered)
	}
}

func TestTheNetworkStaysOnTheMachine(t *testing.T) {
	network := newNetwork(t)
	status, answer, err := speak(t.Context(), network, http.MethodGet, "http://192.0.2.1/", "")
	if err != nil || status != http.StatusForbidden {
		t.Errorf("%d %q %v", status, answer, err)
	}
	if err := network.Route("login.example", "192.0.2.1:80"); err == nil {
		t.Error("a route off the machine was accepted")
	}
	if _, _, err := speak(t.Context(), network, http.MethodGet, "https://127.0.0.1:1/", ""); err == nil {
		t.Error("https went through")
	}
}

func TestFlightMode(t *testing.T) {
	server, network := newEar(t), newNetwork(t)
	network.Offline(true)
	if _, _, err := speak(t.Context(), network, http.MethodGet, server.URL, ""); err == nil {
		t.Error("an answer arrived in flight mode")
	}
	network.Offline(false)
	if _, _, err := speak(t.Context(), network, http.MethodGet, server.URL, ""); err != nil {
		t.Error(err)
	}
	if len(server.arrived) != 1 {
		t.Errorf("%d requests arrived, want 1", len(server.arrived))
	}
}

func TestAServerSeesThePhoneHangUp(t *testing.T) {
	gone := make(chan struct{})
	entered := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(gone)
	}))
	t.Cleanup(server.Close)
	network := newNetwork(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, _, err := speak(ctx, network, http.MethodGet, server.URL, ""); err == nil {
		t.Error("an answer arrived")
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the server never noticed")
	}
}
