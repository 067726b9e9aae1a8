package app_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/test/pgcluster"
)

// devServer runs dev mode in a fresh working directory.
func devServer(t *testing.T) (*server, *config.Config, string) {
	t.Helper()
	t.Chdir(t.TempDir())
	public, admin := listen(t), listen(t)
	_, port, _ := net.SplitHostPort(public.Addr().String())
	t.Setenv(config.EnvIssuer, "http://localhost:"+port)
	t.Setenv(config.EnvListen, public.Addr().String())
	t.Setenv(config.EnvAdminListen, admin.Addr().String())
	cfg, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	var banner bytes.Buffer
	s := run(t, cfg, app.Options{Public: public, Admin: admin, Banner: &banner}, ".")
	return s, cfg, banner.String()
}

func TestDevModeMakesWhatItNeeds(t *testing.T) {
	s, cfg, banner := devServer(t)
	info, err := os.Stat("countersign-dev.key")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the master key: %v, %v", info, err)
	}
	if _, err := os.Stat("countersign-dev.db"); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"dev mode", cfg.Issuer, s.AdminURL(), "countersign demo", "countersign serve --config"} {
		if !strings.Contains(banner, want) {
			t.Errorf("the banner does not say %q:\n%s", want, banner)
		}
	}
	if key, err := os.ReadFile("countersign-dev.key"); err != nil || strings.Contains(banner+s.log.String(), strings.TrimSpace(string(key))) {
		t.Errorf("the master key is shown, or gone: %v", err)
	}
}

func TestTheBannerShowsNoPassword(t *testing.T) {
	url := pgcluster.Shared(t)
	t.Setenv(config.EnvDatabase, url+"&password=hunter2")
	_, _, banner := devServer(t)
	if strings.Contains(banner, "hunter2") || !strings.Contains(banner, "postgres://") {
		t.Error(banner)
	}
}

// PX01
func TestDevModeAnswersItsOwnNameOnly(t *testing.T) {
	s, cfg, _ := devServer(t)
	own := strings.TrimPrefix(cfg.Issuer, "http://")
	for _, tt := range []struct {
		url, host string
		status    int
	}{
		{s.PublicURL() + "/health", own, http.StatusOK},
		{s.PublicURL() + "/health", "evil.example", http.StatusMisdirectedRequest},
		{s.PublicURL() + "/health", own + ".evil.example", http.StatusMisdirectedRequest},
		{s.AdminURL() + "/metrics", "evil.example", http.StatusMisdirectedRequest},
		{s.AdminURL() + "/healthz", strings.TrimPrefix(s.AdminURL(), "http://"), http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tt.host
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s as %s: %d, want %d", tt.url, tt.host, resp.StatusCode, tt.status)
		}
	}
}

func TestAMasterKeyIsNeverOverwritten(t *testing.T) {
	file := t.TempDir() + "/master.key"
	write(t, file, "precious")
	if err := app.WriteMasterKey(file); err == nil {
		t.Error("no error")
	}
	if data, _ := os.ReadFile(file); string(data) != "precious" {
		t.Errorf("it is %q now", data)
	}
}
