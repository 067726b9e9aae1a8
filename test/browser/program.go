package browser

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// shared is the Chromium of a test binary whose TestMain asked for one. It takes longer to start than most tests to run,
// and every Browser has a profile of its own in it.
var shared struct {
	sync.Mutex
	wanted   bool
	chromium context.Context
	stop     func()
}

// Main runs a package's tests with one Chromium for all of them. It is the package's TestMain.
func Main(m *testing.M) {
	shared.wanted = true
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	os.Exit(code)
}

// program is a Chromium that runs: the shared one, or one that is the test's own.
func program(t testing.TB) context.Context {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.chromium != nil {
		return shared.chromium
	}
	chromium, stop := start(t)
	if shared.wanted {
		shared.chromium, shared.stop = chromium, stop
	} else {
		t.Cleanup(stop)
	}
	return chromium
}

func start(t testing.TB) (chromium context.Context, stop func()) {
	t.Helper()
	profile, err := os.MkdirTemp("", "countersign-chromium-") //nolint:usetesting // it outlives the test that starts it
	if err != nil {
		t.Fatal(err)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(executable(t)),
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-back-forward-cache", true), // the driver loses sight of a page that comes back from it
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	)
	if os.Geteuid() == 0 { // Chromium's sandbox refuses root
		flags = append(flags, chromedp.NoSandbox)
	}
	ctx, kill := chromedp.NewExecAllocator(context.Background(), flags...) // a test's own context ends before Cleanup
	chromium, _ = chromedp.NewContext(ctx)
	stop = func() {
		closing, done := context.WithTimeout(chromium, patience)
		defer done()
		_ = chromedp.Cancel(closing) // gracefully, so that nothing writes to the profile while it is removed
		kill()
		_ = os.RemoveAll(profile)
	}
	// The browser lives as long as the context of its first step, which must therefore have no deadline.
	if err := chromedp.Do(chromium); err != nil {
		stop()
		t.Fatalf("start Chromium: %v", err)
	}
	return chromium, stop
}

// executable finds a Chromium.
func executable(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no chromium, chromium-browser or google-chrome on PATH: run `make deps`")
	return ""
}
