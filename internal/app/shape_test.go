package app_test

import (
	"net/http"
	"testing"
)

// DESIGN section 7: what no door has seen is refused as the API at that path refuses.
func TestTheJSONAPIsAnswerInProblemsAndTheRestInOAuthErrors(t *testing.T) {
	s := start(t, folder(t), "sqlite:./countersign.db", "")
	for url, want := range map[string]string{
		s.PublicURL() + "/account/v1/nowhere": "application/problem+json",
		s.AdminURL() + "/admin/v1/nowhere":    "application/problem+json",
		s.PublicURL() + "/nowhere":            "application/json",
		s.PublicURL() + "/token":              "application/json",
		s.AdminURL() + "/nowhere":             "application/json",
	} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); got != want || resp.StatusCode < 404 || resp.StatusCode > 405 {
			t.Errorf("%s: %d %s", url, resp.StatusCode, got)
		}
	}
}
