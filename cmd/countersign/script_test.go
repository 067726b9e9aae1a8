package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/standin"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"countersign": main})
}

// The scripts run the real command against a real server, with a stand-in Google and a virtual phone.
func TestScripts(t *testing.T) {
	google, err := standin.NewProvider(standin.Google)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(google.Close)
	world := world{google: google}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               world.setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":    await,
			"fromfile": fromFile,
			"register": register,
			"signin":   world.signIn,
		},
	})
}

type world struct{ google *standin.Provider }

// setUp gives every script ports of its own and the address of the stand-in.
func (w world) setUp(env *testscript.Env) error {
	for _, name := range []string{"PORT", "ADMIN_PORT"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return err
		}
		env.Setenv(name, port)
		if err := l.Close(); err != nil {
			return err
		}
	}
	env.Setenv("GOOGLE", w.google.URL())
	env.Setenv("GORACE", "atexit_sleep_ms=0") // every command of a script is a process that would sleep a second at its end
	return nil
}

// await URL waits until the address answers 200.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await url")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !answers(ctx, args[0]) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s does not answer", args[0])
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// fromfile NAME FILE sets a variable to what a file holds.
func fromFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fromfile name file")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// register FILE registers a client with the initial access token in a file, and puts its id into CLIENT.
func register(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: register file")
	}
	const metadata = `{"client_name":"Harbour Helper","redirect_uris":["https://harbour.example/cb"],"token_endpoint_auth_method":"none"}`
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost:"+ts.Getenv("PORT")+"/register", strings.NewReader(metadata))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[0])))
	resp, err := http.DefaultTransport.RoundTrip(req)
	ts.Check(err)
	var answer struct {
		ID string `json:"client_id"`
	}
	err = errors.Join(json.NewDecoder(resp.Body).Decode(&answer), resp.Body.Close())
	ts.Check(err)
	if (resp.StatusCode == http.StatusCreated) == neg {
		ts.Fatalf("status %d", resp.StatusCode)
	}
	ts.Setenv("CLIENT", answer.ID)
}

// signIn SUBJECT signs a phone in with the stand-in Google and puts its account and session into ACCOUNT and SESSION.
func (w world) signIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signin subject")
	}
	claims, err := w.claims("http://localhost:"+ts.Getenv("PORT"), args[0])
	ts.Check(err)
	ts.Setenv("ACCOUNT", fmt.Sprint(claims["sub"]))
	ts.Setenv("SESSION", fmt.Sprint(claims["sid"]))
}

func (w world) claims(issuer, subject string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	phone, err := standin.NewPhone(standin.PhoneConfig{Issuer: issuer, ClientID: "com.example.todo", DeviceName: "A phone"})
	if err != nil {
		return nil, err
	}
	person := standin.Person{Subject: subject, Email: subject + "@gmail.example", Name: "Somebody"}
	tokens, err := phone.SignIn(ctx, w.google.Prompt(standin.GoogleAndroid("web.example", "android.example", person)))
	if err != nil {
		return nil, err
	}
	return standin.Claims(tokens.AccessToken)
}
