//go:build zzreview

package zz

import (
	"context"
	"net/url"
	"testing"

	"github.com/countersign/countersign/test/harness"
)

func TestScopes(t *testing.T) {
	w := harness.New(t, harness.SQLite)
	ph := w.Phone("p", harness.Bearer)
	tok, err := ph.SignIn(context.Background(), w.GooglePrompt("ada"))
	if err != nil {
		t.Fatal(err)
	}
	rt := tok.RefreshToken
	for _, f := range []url.Values{
		{"scope": {"todos.read"}, "resource": {w.Issuer}},
		{"scope": {"account.read"}, "resource": {harness.Audience}},
		{"scope": {"account.read"}},
		{"scope": {"todos.read account.read"}},
		{"scope": {"openid"}},
		{"scope": {"openid account.read"}},
		{"resource": {w.Issuer + "/"}},
		{"resource": {harness.Audience, w.Issuer}},
		{"resource": {harness.OtherAudience}},
		{"scope": {"mail.read"}},
		{"client_secret": {""}},
		{"scope": {""}, "resource": {""}},
	} {
		f.Set("grant_type", "refresh_token")
		f.Set("client_id", harness.ClientID)
		f.Set("refresh_token", rt)
		a := w.Post("/token", f)
		if r := a.String("refresh_token"); r != "" {
			rt = r
		}
		delete(a.JSON, "access_token")
		t.Log(f["scope"], f["resource"], a.Status, a.JSON)
	}
}
