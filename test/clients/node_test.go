package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// script is a run of one of the scripts in node/, which talk as node/lib/talk.mjs says.
type script struct {
	t    *testing.T
	w    *world
	cmd  *exec.Cmd
	in   *json.Encoder
	out  *bufio.Reader
	errs *bytes.Buffer

	browser *harness.Web // the person's
}

// question is a line of a script.
type question struct {
	Browse     string          `json:"browse"`
	Agree      string          `json:"agree"`
	Credential string          `json:"credential"`
	Done       json.RawMessage `json:"done"`
}

// node runs a script to its end and reads what it found out.
func (w *world) node(t *testing.T, name string, params map[string]any, into any) {
	t.Helper()
	w.start(t, params, w.env, name).finish(into)
}

// start runs Node.js with these arguments. It ends with the test, whatever becomes of it.
func (w *world) start(t *testing.T, params map[string]any, env []string, args ...string) *script {
	t.Helper()
	installed(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	s := &script{t: t, w: w, cmd: exec.CommandContext(ctx, "node", args...), errs: &bytes.Buffer{}, browser: w.Browser()}
	s.cmd.Dir = "node"
	s.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	s.cmd.Stderr = s.errs
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = s.cmd.Wait()
	})
	s.in, s.out = json.NewEncoder(in), bufio.NewReader(out)
	params["issuer"] = w.Issuer
	s.say(params)
	return s
}

func (s *script) say(answer any) {
	s.t.Helper()
	if err := s.in.Encode(answer); err != nil {
		s.fail(err)
	}
}

// fail ends the test with what the script had to say.
func (s *script) fail(err error) {
	s.t.Helper()
	_ = s.cmd.Wait() // its stderr is complete
	s.t.Fatalf("%s: %v\n%s", strings.Join(s.cmd.Args, " "), err, s.errs)
}

// finish answers what the script asks until it is done.
func (s *script) finish(into any) {
	s.t.Helper()
	for {
		line, err := s.out.ReadBytes('\n')
		if err != nil {
			s.fail(err)
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		switch {
		case q.Browse != "":
			s.say(s.w.walk(s.browser, q.Browse))
		case q.Agree != "":
			s.w.agree(q.Agree)
			s.say(struct{}{})
		case q.Credential != "":
			s.say(map[string]string{"id_token": s.w.credential(s.t, q.Credential)})
		default:
			if err := json.Unmarshal(q.Done, into); err != nil {
				s.t.Fatalf("%s: %v", line, err)
			}
			if _, err := s.out.ReadByte(); err != io.EOF {
				s.t.Errorf("something follows the last line: %v", err)
			}
			return
		}
	}
}

// arrival is how the browser came back to the client.
type arrival struct {
	URL  string `json:"url"`
	Body string `json:"body,omitempty"` // of a response that is posted
}

// walk takes a browser from the authorization request to the client.
func (w *world) walk(b *harness.Web, address string) arrival {
	w.T.Helper()
	b.Open(address).SignInWith(w.Google, "google", "ada")
	if b.Has("consent-form") {
		b.Submit("consent-allow", "action", "allow")
	}
	if b.Has("passkey-skip") {
		b.Submit("passkey-skip", "action", "skip")
	}
	if b.Has("post-form") {
		action, fields := b.Form("post-form")
		return arrival{URL: action, Body: fields.Encode()}
	}
	if b.Left == nil {
		w.T.Fatalf("the browser was not sent back: %d at %s\n%s", b.Status, b.At, b.Page)
	}
	return arrival{URL: b.Left.String()}
}

// agree opens the address a device shows, signs in and allows it.
func (w *world) agree(address string) {
	w.T.Helper()
	b := w.Browser().Open(address).Submit("device-submit").SignInWith(w.Google, "google", "ada")
	b.Want("consent-form").Submit("consent-allow", "action", "allow")
}

// credential is what Google's SDK gives an app for a nonce of ours.
func (w *world) credential(t *testing.T, nonce string) string {
	t.Helper()
	asked := standin.GoogleAndroid(harness.GoogleWeb, harness.GoogleAndroid, w.Google.PersonNamed("ada"))
	asked.Nonce = nonce
	c, err := w.Google.Issue(asked)
	if err != nil {
		t.Fatal(err)
	}
	return c.IDToken
}

type lockFile struct {
	Packages map[string]struct {
		Version   string `json:"version"`
		Integrity string `json:"integrity"`
		Resolved  string `json:"resolved"`
	} `json:"packages"`
}

func readLock(t *testing.T, name string) (lock lockFile) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("node", name))
	if err != nil {
		t.Fatalf("The npm packages of test/clients/node are not installed. Run `make node-clients`. (%v)", err)
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return lock
}

// installed fails the test where Node.js or the packages are missing: a client that is not there proves nothing.
func installed(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatalf("Node.js is not on PATH. Run `make deps`, which installs it. (%v)", err)
	}
	readLock(t, "node_modules/.package-lock.json")
}

func TestTheNodeClientsAreThoseTheLockFileNames(t *testing.T) {
	installed(t)
	wanted, have := readLock(t, "package-lock.json").Packages, readLock(t, "node_modules/.package-lock.json").Packages
	for _, client := range []string{"openid-client", "oauth4webapi", "@openid/appauth"} {
		if wanted["node_modules/"+client].Version == "" {
			t.Errorf("%s is not in package-lock.json", client)
		}
	}
	for name, p := range wanted {
		if name == "" {
			continue
		}
		if p.Resolved != "" {
			t.Errorf("%s: package-lock.json says where it came from; npm finds that by itself", name)
		}
		if p.Integrity == "" || have[name].Version != p.Version || have[name].Integrity != p.Integrity {
			t.Errorf("%s: %s is installed, package-lock.json names %s. Run `make node-clients`.", name, have[name].Version, p.Version)
		}
	}
}

// The tests run the bank of examples/ with their own packages: they are the ones it asks for.
func TestTheBanksPackagesAreTheTestedOnes(t *testing.T) {
	tested := readLock(t, "package-lock.json").Packages
	for name, p := range readLock(t, "../../../examples/bank/package-lock.json").Packages {
		if name != "" && (p.Integrity == "" || p.Integrity != tested[name].Integrity || p.Resolved != "") {
			t.Errorf("%s: examples/bank has %s, the tests %s. Run npm install there.", name, p.Version, tested[name].Version)
		}
	}
}
