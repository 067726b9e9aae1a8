package oauthhttp_test

import (
	"encoding/json"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/oauthhttp"
)

// rfc9396-10-01: the catalog changes while the server runs.
func TestTheMetadataNameTheTypesOfTheMoment(t *testing.T) {
	var catalog atomic.Pointer[domain.Catalog]
	door := &oauthhttp.Door{Issuer: "https://login.example", Catalog: catalog.Load}
	srv := httptest.NewServer(httpd.Handler(httpd.Options{}, door.Routes()))
	t.Cleanup(srv.Close)
	tags := map[string]bool{}
	for _, types := range [][]string{nil, {"payment"}, {"balance", "payment"}, {"balance"}, nil} {
		resources := []domain.Resource{{ID: "a"}, {ID: "b"}}
		for i, typ := range types {
			resources[i].Details = []domain.DetailType{{Type: typ}, {Type: typ}}
		}
		catalog.Store(&domain.Catalog{Resources: resources})
		for range 2 {
			a := get(t, srv.URL+"/.well-known/oauth-authorization-server")
			got, err := json.Marshal(a.json(t)["authorization_details_types_supported"])
			want, _ := json.Marshal(types)
			if err != nil || string(got) != string(want) {
				t.Errorf("%s instead of %s", got, want)
			}
			tags[a.Header.Get("ETag")] = true
		}
	}
	if len(tags) != 4 {
		t.Errorf("%d tags of four documents", len(tags))
	}
}
