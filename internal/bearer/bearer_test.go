package bearer

import (
	"errors"
	"testing"

	"github.com/countersign/countersign/internal/dpop"
	"github.com/countersign/countersign/internal/oauth"
)

// What happens to a token that was read is tested over a socket, at /userinfo and the account API.
func TestOneTokenInTheAuthorizationHeader(t *testing.T) {
	for _, c := range []struct {
		name string
		came Request
		want presented
		err  oauth.Code // empty: read; "none": no credentials
	}{
		{"a bearer token", Request{Authorization: []string{"Bearer abc"}}, presented{"abc", false}, ""},
		{"a bound token", Request{Authorization: []string{"DPoP abc"}}, presented{"abc", true}, ""},
		{"a scheme has no case", Request{Authorization: []string{"dPoP abc"}}, presented{"abc", true}, ""},
		{"rfc9449-7.2-02 nothing", Request{}, presented{}, "none"},
		{"nothing but a proof", Request{Proofs: []string{"x"}}, presented{}, "none"},
		{"another scheme", Request{Authorization: []string{"Basic abc"}}, presented{}, "none"},
		{"an empty header", Request{Authorization: []string{""}}, presented{}, "none"},
		{"a scheme alone", Request{Authorization: []string{"Bearer"}}, presented{}, oauth.InvalidRequest},
		{"RS09 two headers", Request{Authorization: []string{"Bearer abc", "Bearer abc"}}, presented{}, oauth.InvalidRequest},
		{"RS09 in the query", Request{HasQueryToken: true}, presented{}, oauth.InvalidRequest},
		{"RS09 in query and header", Request{Authorization: []string{"Bearer abc"}, HasQueryToken: true}, presented{}, oauth.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := read(c.came)
			switch c.err {
			case "":
				if err != nil || got != c.want {
					t.Errorf("%v %v", got, err)
				}
			case "none":
				if !errors.Is(err, ErrNoCredentials) {
					t.Error(err)
				}
			default:
				if err == nil || oauth.AsError(err).Code != c.err {
					t.Error(err)
				}
			}
		})
	}
}

// DP06: where no proof can be remembered any more, that is our fault and passes; the phone's proof was good.
func TestAProofErrorIsAVerdictOrAPassingFault(t *testing.T) {
	for err, want := range map[error]oauth.Code{
		dpop.ErrUsed: oauth.InvalidDPoPProof, dpop.ErrMemoryFull: oauth.TemporarilyUnavailable,
		dpop.ErrInvalid: oauth.InvalidDPoPProof, dpop.ErrUseNonce: oauth.UseDPoPNonce, errors.New("x"): oauth.TemporarilyUnavailable,
	} {
		if got := oauth.AsError(dpop.Refusal(err)).Code; got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
