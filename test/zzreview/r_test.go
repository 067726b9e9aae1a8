//go:build zzreview

package zz

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/test/harness"
)

func TestDropUnderLoad(t *testing.T) {
	for _, e := range []harness.Engine{harness.Postgres, harness.SQLite} {
		t.Run(string(e), func(t *testing.T) {
			n := 1
			if e == harness.Postgres {
				n = 2
			}
			w := harness.New(t, e, harness.Nodes(n))
			adm := w.Admin()
			keys, err := adm.Keys(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var kid string
			for _, k := range keys {
				if k.Alg == "ES256" {
					kid = k.Kid
				}
			}
			var stop atomic.Bool
			var mu sync.Mutex
			got := map[string]int{}
			var wg sync.WaitGroup
			hc := &http.Client{}
			for i := range 4 {
				node := w.Nodes[i%n]
				wg.Go(func() {
					for !stop.Load() {
						r, _ := http.NewRequest("POST", node.Public+"/token", nil)
						f := url.Values{"grant_type": {"client_credentials"}}.Encode()
						r, _ = http.NewRequest("POST", node.Public+"/token", stringsReader(f))
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
						r.SetBasicAuth(harness.ServiceID, harness.ServiceSecret)
						res, err := hc.Do(r)
						if err != nil {
							continue
						}
						var b map[string]any
						_ = json.NewDecoder(res.Body).Decode(&b)
						res.Body.Close()
						mu.Lock()
						k := res.Status
						if b["error"] != nil {
							k += " " + b["error"].(string)
						}
						got[k]++
						mu.Unlock()
					}
				})
			}
			time.Sleep(300 * time.Millisecond)
			if err := adm.DropKey(context.Background(), kid); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
			stop.Store(true)
			wg.Wait()
			t.Log(got)
		})
	}
}
