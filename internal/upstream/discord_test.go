package upstream

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/standin"
)

// other-providers.md section 7: the id is a snowflake, a text of digits; only verified says that the address is theirs.
func TestDiscordsPersonIsASnowflake(t *testing.T) {
	const id = "80351110224678912"
	for user, want := range map[string]Subject{
		`{"id":"` + id + `","username":"n","global_name":"N","email":"a@gmail.com","verified":true}`:   {Email: "a@gmail.com", EmailVerified: true, Name: "N"},
		`{"id":"` + id + `","username":"n","global_name":null,"email":"a@gmail.com","verified":false}`: {Email: "a@gmail.com", Name: "n"},
		`{"id":"` + id + `","username":"n","email":"a@gmail.com","verified":1}`:                        {Email: "a@gmail.com", Name: "n"},
		`{"id":"` + id + `","username":"n","email":null,"verified":true}`:                              {Name: "n"},
		`{"id":"` + id + `","avatar":"a_0f1e"}`:                                                        {Picture: "https://cdn.discordapp.com/avatars/" + id + "/a_0f1e.png"},
		`{"id":"` + id + `","avatar":"../../x?"}`:                                                      {},
	} {
		got, err := answering{token: bearer, me: user}.start(t, Settings{Type: "discord"}).Redeem(t.Context(), newTrip(), Returned{Code: "c"})
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		want.Provider, want.Issuer, want.Subject, want.Audience, want.IssuedAt = "p", "https://discord.com", id, ourID, got.Subject.IssuedAt
		if *got.Subject != want {
			t.Errorf("%s: %+v, want %+v", user, got.Subject, want)
		}
	}
	for _, user := range []string{`{"id":80351110224678912}`, `{"id":""}`, `{"id":"007"}`, `{"id":"8035e1"}`, `{"id":null}`, `{"username":"x"}`, `{"id":"123456789012345678901"}`} {
		got, err := answering{token: bearer, me: user}.start(t, Settings{Type: "discord"}).Redeem(t.Context(), newTrip(), Returned{Code: "c"})
		wantNo(t, got, err)
	}
}

func TestDiscordNeedsAClientAndSignsInNoApp(t *testing.T) {
	if _, err := New(Settings{Name: "d", Type: "discord"}, fetch.New(fetch.Options{}), time.Now); err == nil {
		t.Error("without a client there is nothing it could be good for")
	}
	j := newJourney(t, standin.Discord, nil)
	_, err := j.Verify(t.Context(), "a.b.c", Expect{Audiences: []string{ourID}, Nonce: "n", Now: time.Now()})
	wantRefusal(t, err)
}
