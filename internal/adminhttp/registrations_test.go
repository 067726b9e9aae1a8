package adminhttp_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/apikey"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/test/house"
)

// RFC 7591 §3: what lets a client in is shown once and cannot be read again.
func TestAnInitialAccessTokenIsShownOnce(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := "Bearer " + w.key(t, apikey.ClientsRead, apikey.ClientsWrite)
	a := w.send(t, "POST", "/admin/v1/registration-tokens", key, `{"name":"partners","uses":3,"expires_in":3600}`)
	var made struct {
		ID, Name, Token string
		UsesLeft        int       `json:"uses_left"`
		CreatedAt       time.Time `json:"created_at"`
		ExpiresAt       time.Time `json:"expires_at"`
		Live            bool
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 200 || made.UsesLeft != 3 || !made.Live ||
		made.ExpiresAt.Sub(made.CreatedAt) != time.Hour || !strings.HasPrefix(made.Token, "cs_irt_") {
		t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	list := w.send(t, "GET", "/admin/v1/registration-tokens", key, "")
	if list.status != 200 || !strings.Contains(list.body, made.ID) || strings.Contains(list.body, made.Token) || strings.Contains(list.body, "cs_irt_") {
		t.Errorf("the list: %d %s", list.status, list.body)
	}
	if _, ok := apikey.RegistrationHash(made.Token); !ok {
		t.Errorf("the token is none: %q", made.Token)
	}
	events, err := w.DB.Events(t.Context(), domain.AccountID{}, domain.SessionID{}, 1)
	if err != nil || events[0].Action != "registration_token.create" || events[0].Reason != made.ID || !strings.HasPrefix(events[0].Actor, "api-key key_") {
		t.Errorf("%+v, %v", events, err)
	}
	if a := w.send(t, "DELETE", "/admin/v1/registration-tokens/"+made.ID, key, ""); a.status != 204 || a.body != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.send(t, "DELETE", "/admin/v1/registration-tokens/"+made.ID, key, "").wantProblem(t, 404)
}

func TestAnInitialAccessTokenOutOfBoundsIsNotMade(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := "Bearer " + w.key(t, apikey.ClientsWrite)
	for _, body := range []string{
		`{}`, ``, `{"name":"x","uses":1}`, `{"name":"x","expires_in":60}`, `{"uses":1,"expires_in":60}`,
		`{"name":"x","uses":0,"expires_in":60}`, `{"name":"x","uses":10001,"expires_in":60}`,
		`{"name":"x","uses":1,"expires_in":-60}`, `{"name":"x","uses":1,"expires_in":31622401}`,
		`{"name":"x","uses":1,"expires_in":9223372036854775807}`, `{"name":"x","uses":1.5,"expires_in":60}`,
		`{"name":"x","uses":1,"expires_in":60,"token":"cs_irt_mine"}`, `{"name":"a\u0000","uses":1,"expires_in":60}`,
	} {
		t.Run(body, func(t *testing.T) { w.send(t, "POST", "/admin/v1/registration-tokens", key, body).wantProblem(t, 400) })
	}
	if list, err := w.DB.RegistrationTokens(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAClientThatIsNamedByAnAddressIsShownAndTakenAway(t *testing.T) {
	w := open(t, house.OnSQLite(t))
	key := "Bearer " + w.key(t, apikey.ClientsRead, apikey.ClientsWrite)
	path := "/admin/v1/clients/" + oauth.Segment(strangerID)
	a := w.send(t, "GET", path, key, "")
	for _, want := range []string{`"id":"` + strangerID + `"`, `"registered_by":"anybody"`, `"unverified":true`, `"state":"live"`} {
		if a.status != 200 || !strings.Contains(a.body, want) {
			t.Errorf("%d, no %s in %s", a.status, want, a.body)
		}
	}
	for _, secret := range []string{"hash", "last_used_at"} { // nobody has used it
		if strings.Contains(a.body, secret) {
			t.Errorf("%s in %s", secret, a.body)
		}
	}
	if a := w.send(t, "POST", path+"/disable", key, ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.send(t, "GET", "/admin/v1/clients", key, ""); !strings.Contains(a.body, `"state":"disabled"`) || strings.Contains(a.body, house.Todo) {
		t.Error(a.body)
	}
	if a := w.send(t, "DELETE", path, key, ""); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	w.send(t, "GET", path, key, "").wantProblem(t, 404)
	if a := w.send(t, "GET", "/admin/v1/clients", key, ""); a.body != `{"clients":[]}` {
		t.Error(a.body)
	}
}
