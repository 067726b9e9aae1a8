package start_test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/examples/start"
)

func TestWhatIsMissingIsSaidWithTheNextStep(t *testing.T) {
	_, noSecret := start.Secret(filepath.Join(t.TempDir(), "todo-web.secret"))

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	busy := start.Serve(addr, http.NotFoundHandler(), t.Output(), "choose another with -listen")
	_ = l.Close()

	_, silent := http.Get("http://" + addr) //nolint:bodyclose // nobody answers
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"no secret", noSecret, "run sh examples/setup.sh from the repository's root"},
		{"a busy port", busy, addr + " is taken by another program: end that, or choose another with -listen"},
		{"no server", start.Explained(silent), "./countersign serve --config examples/countersign.yaml comes first"},
	} {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
	if start.Explained(nil) != nil {
		t.Error("no error becomes one")
	}
}
