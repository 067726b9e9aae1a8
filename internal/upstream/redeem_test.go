package upstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fetch"
	"github.com/countersign/countersign/standin"
)

// RFC 9207 §2.4: the answer of another server is refused before its code is sent anywhere.
func TestAnAnswerOfAnotherServerIsRefusedUnredeemed(t *testing.T) {
	for name, tc := range map[string]struct {
		kind     standin.Kind
		mischief standin.Mischief
	}{
		"OpenID, another's iss":           {standin.OIDC, standin.Mischief{Issuer: "https://evil.example"}},
		"OpenID, a slash more":            {standin.OIDC, standin.Mischief{Issuer: "http://127.0.0.1/"}},
		"OpenID, iss promised and absent": {standin.OIDC, standin.Mischief{NoIssuer: true}},
		"OpenID, an error without iss":    {standin.OIDC, standin.Mischief{NoIssuer: true, Error: "access_denied"}},
		"GitHub, another's iss":           {standin.GitHub, standin.Mischief{Issuer: "https://evil.example"}},
		"GitHub, the site alone":          {standin.GitHub, standin.Mischief{Issuer: "https://github.com"}},
		"Google, another's iss":           {standin.Google, standin.Mischief{Issuer: "https://evil.example"}},
		"Google, Apple's iss":             {standin.Google, standin.Mischief{Issuer: "https://appleid.apple.com"}},
		"Microsoft, no tenant's iss":      {standin.Microsoft, standin.Mischief{Issuer: microsoftTemplate}},
		"Apple, another's iss":            {standin.Apple, standin.Mischief{Issuer: "https://evil.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJourney(t, tc.kind, nil)
			j.there.Misbehave(tc.mischief)
			got, err := j.trip(t, "alice")
			wantNo(t, got, err)
			if n := j.there.Requests("/token") + j.there.Requests("/auth/token"); n != 0 {
				t.Errorf("%d requests to the token endpoint", n)
			}
		})
	}
}

func TestAnIssThatFitsIsTakenAndItsAbsenceToleratedWhereNothingPromisedIt(t *testing.T) {
	for name, tc := range map[string]struct {
		kind     standin.Kind
		mischief standin.Mischief
		change   func(*Settings)
	}{
		"GitHub without":                  {standin.GitHub, standin.Mischief{NoIssuer: true}, nil},
		"Google with":                     {standin.Google, standin.Mischief{Issuer: "https://accounts.google.com"}, nil},
		"Microsoft with":                  {standin.Microsoft, standin.Mischief{Issuer: standin.MicrosoftIssuer(standin.MicrosoftTenant)}, nil},
		"OpenID that does not promise it": {standin.OIDC, standin.Mischief{NoIssuer: true, Discovery: func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") }}, nil},
		"OAuth 2.0 without":               {standin.OIDC, standin.Mischief{NoIssuer: true}, func(s *Settings) { oauth2Settings(s, s.Issuer) }},
	} {
		j := newJourney(t, tc.kind, tc.change)
		j.there.Misbehave(tc.mischief)
		if got, err := j.trip(t, "alice"); err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// The id_token of a redirect takes the road of an app's (ID01, ID02, ID04, ID06, ID08, ID10).
func TestWhatTheTokenEndpointGivesIsJudgedAsStrictlyAsAnAppsToken(t *testing.T) {
	claim := func(name string, value any) standin.Mischief {
		return standin.Mischief{Claims: func(claims map[string]any) { claims[name] = value }}
	}
	for name, tc := range map[string]struct {
		kind     standin.Kind
		mischief standin.Mischief
	}{
		"another nonce":                  {standin.OIDC, standin.Mischief{Nonce: "another"}},
		"no nonce":                       {standin.OIDC, standin.Mischief{Claims: func(claims map[string]any) { delete(claims, "nonce") }}},
		"another nonce from Apple":       {standin.Apple, standin.Mischief{Nonce: "another"}},
		"another nonce from Google":      {standin.Google, standin.Mischief{Nonce: "another"}},
		"another audience":               {standin.OIDC, standin.Mischief{Audience: "evil"}},
		"another audience beside ours":   {standin.OIDC, claim("aud", []string{ourID, "evil"})},
		"another issuer":                 {standin.OIDC, claim("iss", "https://evil.example")},
		"Google's issuer from Apple":     {standin.Apple, claim("iss", "https://accounts.google.com")},
		"expired":                        {standin.OIDC, claim("exp", 1893455000)},
		"older than ten minutes":         {standin.OIDC, claim("iat", 1893455000)},
		"a code hash of another code":    {standin.OIDC, claim("c_hash", "AAAAAAAAAAAAAAAAAAAAAA")},
		"no subject":                     {standin.OIDC, claim("sub", "")},
		"another nonce from LINE":        {standin.LINE, standin.Mischief{Nonce: "another"}},
		"no nonce from LINE":             {standin.LINE, standin.Mischief{Claims: func(claims map[string]any) { delete(claims, "nonce") }}},
		"another channel of LINE":        {standin.LINE, standin.Mischief{Audience: "1234567890"}},
		"another issuer from LINE":       {standin.LINE, claim("iss", "https://evil.example")},
		"another nonce from GitLab":      {standin.GitLab, standin.Mischief{Nonce: "another"}},
		"another app of GitLab":          {standin.GitLab, standin.Mischief{Audience: "another"}},
		"GitLab's other instance":        {standin.GitLab, claim("iss", "https://gitlab.com")},
		"another tenant than the issuer": {standin.Microsoft, claim("tid", tenantA)},
		"Microsoft without oid":          {standin.Microsoft, standin.Mischief{Claims: func(claims map[string]any) { delete(claims, "oid") }}},
		"another tenant than iss said": {standin.Microsoft, standin.Mischief{
			Issuer: standin.MicrosoftIssuer(tenantA),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJourney(t, tc.kind, nil)
			j.there.Misbehave(tc.mischief)
			got, err := j.trip(t, "alice")
			wantNo(t, got, err)
		})
	}
	j := newJourney(t, standin.OIDC, nil)
	trip := newTrip()
	back := j.comeBack(t, trip, "alice")
	hashed := nonceHexOf(trip.Nonce)
	j.there.Misbehave(standin.Mischief{Nonce: hashed})
	got, err := j.Redeem(t.Context(), trip, back)
	wantNo(t, got, err) // no SDK stands between: the nonce itself, or nothing
}

func TestACodeOfAnotherTripIsRefused(t *testing.T) {
	for _, kind := range []standin.Kind{
		standin.Google, standin.Apple, standin.Microsoft, standin.GitHub, standin.Facebook, standin.LINE, standin.Discord, standin.GitLab, standin.OIDC,
	} {
		t.Run(string(kind), func(t *testing.T) {
			j := newJourney(t, kind, nil)
			victims := newTrip()
			stolen := j.comeBack(t, victims, "victim")
			j.there.Misbehave(standin.Mischief{Code: stolen.Code})
			got, err := j.trip(t, "mallory") // the victim's code in the attacker's trip: the verifier does not fit
			wantNo(t, got, err)
			j.there.Misbehave(standin.Mischief{})

			trip := newTrip()
			back := j.comeBack(t, trip, "alice")
			if _, err := j.Redeem(t.Context(), trip, back); err != nil {
				t.Fatal(err)
			}
			got, err = j.Redeem(t.Context(), trip, back) // twice
			wantNo(t, got, err)
		})
	}
}

func TestACodeOfAnotherClientIsRefused(t *testing.T) {
	j := newJourney(t, standin.OIDC, nil)
	app := standin.Application{ClientID: "evil", Secret: "x", RedirectURIs: []string{ourReturn}}
	if err := j.there.Register(app); err != nil {
		t.Fatal(err)
	}
	evil, err := New(Settings{Name: "evil", Type: "oidc", Issuer: j.there.Issuer(), ClientID: "evil", ClientSecret: "x"}, j.fetch, j.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	trip := newTrip()
	theirs := (&journey{Provider: evil, there: j.there, browser: j.browser}).comeBack(t, trip, "victim")
	got, err := j.Redeem(t.Context(), trip, theirs) // even with the very same verifier
	wantNo(t, got, err)
}

func TestTheProvidersNoIsSaidInAWordOfOurs(t *testing.T) {
	for _, kind := range []standin.Kind{standin.Apple, standin.Google, standin.GitHub, standin.Facebook, standin.LINE, standin.Discord, standin.GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			j := newJourney(t, kind, nil)
			trip := newTrip()
			address, err := j.AuthorizeURL(t.Context(), trip)
			if err != nil {
				t.Fatal(err)
			}
			r, err := j.there.DenyAt(t.Context(), j.browser, address)
			if err != nil {
				t.Fatal(err)
			}
			got, err := j.Redeem(t.Context(), trip, j.read(t, trip, r))
			if no := wantSentence(t, got, err); !no.Cancelled {
				t.Errorf("not cancelled: %v", no)
			}
		})
	}
	j := newJourney(t, standin.Google, nil)
	for _, code := range []string{"login_required", "interaction_required", "invalid_scope", "evil <script>", "unauthorized_client"} {
		got, err := j.Redeem(t.Context(), newTrip(), Returned{Error: code})
		wantNo(t, got, err)
	}
	for _, code := range []string{"server_error", "temporarily_unavailable"} {
		got, err := j.Redeem(t.Context(), newTrip(), Returned{Error: code})
		wantDown(t, got, err)
	}
	for _, r := range map[string]Returned{
		"neither code nor error": {}, "both": {Code: "c", Error: "access_denied"}, "a huge code": {Code: strings.Repeat("c", maxCode+1)},
	} {
		got, err := j.Redeem(t.Context(), newTrip(), r)
		wantNo(t, got, err)
	}
}

func TestAProviderThatIsDownIsNoVerdict(t *testing.T) {
	for name, tc := range map[string]struct {
		kind     standin.Kind
		mischief standin.Mischief
	}{
		"Google, status 500":      {standin.Google, standin.Mischief{TokenStatus: 500}},
		"Apple, status 503":       {standin.Apple, standin.Mischief{TokenStatus: 503}},
		"GitHub, status 502":      {standin.GitHub, standin.Mischief{TokenStatus: 502}},
		"OpenID, a redirect":      {standin.OIDC, standin.Mischief{TokenStatus: 302}},
		"OpenID, slower than us":  {standin.OIDC, standin.Mischief{TokenSlow: time.Hour}},
		"Microsoft, status 429":   {standin.Microsoft, standin.Mischief{TokenStatus: 429}},
		"GitHub, slower than us":  {standin.GitHub, standin.Mischief{TokenSlow: time.Hour}},
		"OpenID, nothing at once": {standin.OIDC, standin.Mischief{TokenStatus: 204}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJourney(t, tc.kind, nil)
			j.there.Misbehave(tc.mischief)
			got, err := j.trip(t, "alice")
			wantDown(t, got, err)
		})
	}
}

// What only the operator can mend is no verdict about the person, and says what to look at.
func TestAWrongSecretIsTheOperatorsToMend(t *testing.T) {
	_, foreign := pkcs8(t, "ES256")
	for name, tc := range map[string]struct {
		kind   standin.Kind
		change func(*Settings)
	}{
		"Google": {standin.Google, nil}, "Microsoft": {standin.Microsoft, nil}, "GitHub": {standin.GitHub, nil}, "OpenID": {standin.OIDC, nil},
		"Facebook": {standin.Facebook, nil}, "LINE": {standin.LINE, nil}, "Discord": {standin.Discord, nil}, "GitLab": {standin.GitLab, nil},
		"Apple": {standin.Apple, func(s *Settings) { s.PrivateKeyPEM = foreign }},
	} {
		j := newJourney(t, tc.kind, tc.change)
		if tc.kind != standin.Apple {
			app := standin.Application{ClientID: ourID, Secret: "changed since", RedirectURIs: []string{ourReturn}}
			if err := j.there.Register(app); err != nil {
				t.Fatal(err)
			}
		}
		got, err := j.trip(t, "alice")
		wantDown(t, got, err)
		if !strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATripWithoutItsSecretsIsNotBegun(t *testing.T) {
	j := newJourney(t, standin.Google, nil)
	for name, change := range map[string]func(*Trip){
		"state": func(t *Trip) { t.State = "" }, "nonce": func(t *Trip) { t.Nonce = "" }, "redirect URI": func(t *Trip) { t.RedirectURI = "" },
		"verifier": func(t *Trip) { t.Verifier = "" }, "a short verifier": func(t *Trip) { t.Verifier = "short" },
	} {
		trip := newTrip()
		change(&trip)
		if address, err := j.AuthorizeURL(t.Context(), trip); err == nil {
			t.Errorf("without %s: %s", name, address)
		}
		if _, err := j.Redeem(t.Context(), trip, Returned{Code: "c"}); err == nil {
			t.Errorf("without %s: redeemed", name)
		}
	}
	native, err := New(Settings{Name: "g", Type: "google"}, fetch.New(fetch.Options{}), time.Now)
	if err != nil || native.Redirects() {
		t.Fatalf("redirects without a client: %v", err)
	}
	if address, err := native.AuthorizeURL(t.Context(), newTrip()); err == nil {
		t.Errorf("without a client: %s", address)
	}
}

func TestWhatProvidersCanBeAskedFor(t *testing.T) {
	for kind, want := range map[standin.Kind][2]bool{ // FormPost, ProvesAuthTime
		standin.Google: {false, false}, standin.Apple: {true, false}, standin.Microsoft: {false, false}, standin.GitHub: {false, false}, standin.OIDC: {false, true},
		standin.Facebook: {false, false}, standin.LINE: {false, false}, standin.Discord: {false, false}, standin.GitLab: {false, false},
	} {
		j := newJourney(t, kind, nil)
		if got := [2]bool{j.FormPost(), j.ProvesAuthTime()}; got != want || !j.Redirects() || j.Type() != string(kind) {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}

// max_age and prompt=login reach the provider, who then says when the person signed in.
func TestAPersonIsAskedAnewAndItIsSaidWhen(t *testing.T) {
	j := newJourney(t, standin.OIDC, nil)
	began := j.clock.now()
	if got, err := j.trip(t, "alice"); err != nil || !got.Subject.AuthTime.Equal(began) {
		t.Fatalf("%+v, %v", got, err)
	}
	j.clock.advance(time.Hour)
	got, err := j.trip(t, "bob") // no form: the provider remembers alice
	if err != nil || got.Subject.Email != "alice@example.com" || !got.Subject.AuthTime.Equal(began) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, change := range []func(*Trip){
		func(t *Trip) { t.Prompt = []string{"login"} },
		func(t *Trip) { minute := int64(60); t.MaxAge = &minute },
	} {
		j.clock.advance(time.Hour)
		trip := newTrip()
		change(&trip)
		got, err := j.Redeem(t.Context(), trip, j.comeBack(t, trip, "bob"))
		if err != nil || got.Subject.Email != "bob@example.com" || !got.Subject.AuthTime.Equal(j.clock.now()) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestACallerWhoLeftIsToldSo(t *testing.T) {
	j := newJourney(t, standin.Google, nil)
	trip := newTrip()
	back := j.comeBack(t, trip, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := j.Redeem(ctx, trip, back)
	wantDown(t, got, err)
}
