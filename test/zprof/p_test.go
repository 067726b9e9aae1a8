package zprof

import (
	"context"
	"net/http"
	"net/url"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
	"encoding/json"

	"github.com/countersign/countersign/test/harness"
)

func run(t *testing.B, e harness.Engine) {
	w := harness.New(t, e, harness.YAML("limits: {refresh_retries_per_minute: -1, refreshes_per_minute: -1}\nlog: {level: info, format: json}"))
	var toks []string
	for i := 0; i < 64; i++ {
		p := w.SignedIn("p", "s", harness.Bearer)
		toks = append(toks, p.RefreshToken())
	}
	_ = context.Background
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	t.ResetTimer()
	var wg sync.WaitGroup
	n := t.N/64 + 1
	st := time.Now()
	for i := range 64 {
		wg.Go(func() {
			tok := toks[i]
			for range n {
				r, err := c.Post(w.Issuer+"/token", "application/x-www-form-urlencoded", strings.NewReader(url.Values{"grant_type": {"refresh_token"}, "client_id": {harness.ClientID}, "refresh_token": {tok}}.Encode()))
				if err != nil { t.Error(err); return }
				b, _ := io.ReadAll(r.Body)
				r.Body.Close()
				var x struct{ R string `json:"refresh_token"` }
				json.Unmarshal(b, &x)
				if x.R == "" { t.Error(string(b)); return }
				tok = x.R
			}
		})
	}
	wg.Wait()
	t.ReportMetric(float64(n*64)/time.Since(st).Seconds(), "req/s")
}
func BenchmarkSQLite(b *testing.B)   { run(b, harness.SQLite) }
func BenchmarkPostgres(b *testing.B) { run(b, harness.Postgres) }
