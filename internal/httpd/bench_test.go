package httpd_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/httpd"
)

// BenchmarkRequest is what the middleware, the event and the form cost beside an empty handler.
func BenchmarkRequest(b *testing.B) {
	body := "grant_type=refresh_token&client_id=com.example.todo&refresh_token=cs_rt_" + strings.Repeat("x", 82)
	handler := httpd.Handler(httpd.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, []httpd.Route{
		{Method: "POST", Path: "/token", Handler: func(w http.ResponseWriter, r *http.Request) {
			form, err := httpd.DecodeForm(r, "resource", "audience")
			if err != nil || form.Get("grant_type") == "" {
				b.Fatal(err)
			}
			httpd.WriteJSON(w, r, http.StatusOK, map[string]string{"access_token": "x"})
		}},
	})
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/token", strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
}
