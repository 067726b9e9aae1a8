package standin

import (
	"math/rand/v2"
	"time"
)

// FaultKind is what a network does to one request.
type FaultKind int

// The kinds.
const (
	Deliver      FaultKind = iota // pass it on; with After or Until, late
	LoseRequest                   // it never reaches the server; the phone's connection breaks
	LoseResponse                  // the server answers; the answer never arrives, the connection breaks
	LateResponse                  // the server answers; After or Until passes before the phone hears it
	CutRequest                    // half of the body reaches the server, then the connection breaks
	CutResponse                   // half of the answer arrives, then the connection breaks
	Duplicate                     // delivered and answered; a copy of it is delivered again, after After or Until
)

func (k FaultKind) String() string {
	names := [...]string{
		"delivered", "request lost", "response lost", "response late", "request cut", "response cut", "duplicated",
	}
	if k < 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Fault is a kind and how long whatever it holds back is held.
type Fault struct {
	Kind  FaultKind
	After time.Duration
	Until <-chan struct{} // closed by the test: time without sleeping
}

// Rates are how often each kind happens, from 0 to 1; their sum should stay below 1. What they leave is delivered.
type Rates struct {
	LoseRequest, LoseResponse, CutRequest, CutResponse float64
	Duplicate, LateRequest, LateResponse               float64
	// MaxDelay bounds the random delay of late messages and of second copies; zero: 20 ms.
	MaxDelay time.Duration
}

// weather draws faults at random from a seed.
type weather struct {
	rates Rates
	rng   *rand.Rand
}

func newWeather(seed uint64, rates Rates) *weather {
	if rates.MaxDelay <= 0 {
		rates.MaxDelay = 20 * time.Millisecond
	}
	return &weather{rates: rates, rng: rand.New(rand.NewPCG(seed, seed))}
}

func (w *weather) draw() Fault {
	late := time.Duration(w.rng.Int64N(int64(w.rates.MaxDelay)))
	at := w.rng.Float64()
	for _, chance := range []struct {
		rate  float64
		fault Fault
	}{
		{w.rates.LoseRequest, Fault{Kind: LoseRequest}},
		{w.rates.LoseResponse, Fault{Kind: LoseResponse}},
		{w.rates.CutRequest, Fault{Kind: CutRequest}},
		{w.rates.CutResponse, Fault{Kind: CutResponse}},
		{w.rates.Duplicate, Fault{Kind: Duplicate, After: late}},
		{w.rates.LateRequest, Fault{Kind: Deliver, After: late}},
		{w.rates.LateResponse, Fault{Kind: LateResponse, After: late}},
	} {
		if at < chance.rate {
			return chance.fault
		}
		at -= chance.rate
	}
	return Fault{}
}
