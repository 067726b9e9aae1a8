package signin_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
)

// providers of the world, each with a person who may sign in there.
func (w *world) providers() map[*standin.Provider]standin.TokenRequest {
	return map[*standin.Provider]standin.TokenRequest{w.Google: google("ada"), w.Apple: apple("ada"), w.Corp: corp("ada")}
}

func TestRealTokensSignIn(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for from, r := range w.providers() {
			for _, nonce := range []standin.NonceForm{standin.NonceRaw, standin.NonceHex, standin.NonceBase64URL} {
				t.Run(fmt.Sprintf("%s, nonce form %d", from.Kind(), nonce), func(t *testing.T) {
					r.NonceForm = nonce
					got := wantIn(t, w.attempt(t, w.phone(), from, r))
					if got.TokenType != "DPoP" || got.RefreshToken == "" || got.IDToken == "" || got.Scope != scope {
						t.Errorf("%+v", got)
					}
				})
			}
		}
		if got := w.rows(t); got[0] != 3 || got[1] != 3 || got[2] != 9 {
			t.Errorf("accounts, identities, sessions, devices: %v", got)
		}
	}, unlimited)
}

// ID01: an issuer that an attacker runs.
func TestID01AnAttackersIssuerSignsNobodyInAndIsNeverAsked(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		evil, err := standin.NewProvider(standin.OIDC, standin.WithClock(w.Clock.Now))
		if err != nil {
			t.Fatal(err)
		}
		defer evil.Close()
		claiming := func(iss string, header func(map[string]any)) standin.TokenRequest {
			r := google("ada")
			r.Mutate = func(c map[string]any) { c["iss"] = iss }
			r.Header = header
			return r
		}
		leading := func(name string) func(map[string]any) {
			return func(h map[string]any) { h[name] = evil.URL() + "/jwks" }
		}
		w.unchanged(t, func() {
			for name, r := range map[string]standin.TokenRequest{
				"his own issuer":              claiming(evil.Issuer(), nil),
				"Google's":                    claiming(standin.GoogleIssuer, nil),
				"Google's, with jku":          claiming(standin.GoogleIssuer, leading("jku")),
				"Google's, with x5u":          claiming(standin.GoogleIssuer, leading("x5u")),
				"corp's":                      claiming(w.Corp.Issuer(), nil),
				"corp's, as user information": claiming(strings.Replace(w.Corp.Issuer(), "http://", "http://"+strings.TrimPrefix(evil.URL(), "http://")+"@", 1), nil),
				"none":                        claiming("", nil),
			} {
				a := w.attempt(t, w.phone(), evil, r)
				if a.Status == 503 { // an unknown key while fetching is throttled is no verdict (ID05)
					w.Clock.Step(time.Minute)
					a = w.attempt(t, w.phone(), evil, r)
				}
				t.Run(name, func(t *testing.T) { wantRefused(t, a, "invalid_request") })
			}
		})
		for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
			if n := evil.Requests(path); n != 0 {
				t.Errorf("%s of the attacker was asked %d times", path, n)
			}
		}
	}, unlimited)
}

// ID02: the spellings of an issuer, the right ones and those that only look right.
func TestID02OnlyTheExactSpellingsOfAnIssuerAreTaken(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		as := func(r standin.TokenRequest, iss string) standin.TokenRequest {
			r.Mutate = func(c map[string]any) { c["iss"] = iss }
			return r
		}
		if a, b := w.account(t, w.Google, google("ada")), w.account(t, w.Google, as(google("ada"), "accounts.google.com")); a != b {
			t.Errorf("Google's spellings are two issuers: %s and %s", a, b)
		}
		if a, b := w.account(t, w.Apple, apple("ada")), w.account(t, w.Apple, as(apple("ada"), "https://account.apple.com")); a != b {
			t.Errorf("Apple's spellings are two issuers: %s and %s", a, b)
		}
		w.unchanged(t, func() {
			for _, iss := range []string{
				"https://accounts.google.com/", "http://accounts.google.com", "HTTPS://accounts.google.com", "https://Accounts.google.com",
				"https://accounts.google.com.evil.example", " https://accounts.google.com", "accounts.google.com/", "google",
			} {
				wantRefused(t, w.attempt(t, w.phone(), w.Google, as(google("ada"), iss)), "invalid_request")
			}
			for _, iss := range []string{
				"https://appleid.apple.com/", "http://appleid.apple.com", "appleid.apple.com", "account.apple.com", "https://account.apple.com/",
			} {
				wantRefused(t, w.attempt(t, w.phone(), w.Apple, as(apple("ada"), iss)), "invalid_request")
			}
			w.Clock.Step(time.Minute) // so that Apple may be asked whether the key is one of its own
			wantRefused(t, w.attempt(t, w.phone(), w.Google, as(google("ada"), standin.AppleIssuer)), "invalid_request")
			wantRefused(t, w.attempt(t, w.phone(), w.Corp, as(corp("ada"), w.Corp.Issuer()+"/")), "invalid_request")
		})
	}, unlimited)
}

// ID01, ID02: a token that is right in everything, for the client too, but for whose key signed it. A provider speaks for
// its own people alone, however well this server knows the key of the other.
func TestID02NoProviderSpeaksForAnother(t *testing.T) { // rfc8725-3.8-01
	onEngines(t, func(t *testing.T, w *world) {
		victims := w.providers()
		for from, r := range victims {
			wantIn(t, w.attempt(t, w.phone(), from, r))
		}
		for signer := range victims {
			for claimed, r := range victims {
				if signer == claimed {
					continue
				}
				t.Run(fmt.Sprintf("%s for %s", signer.Kind(), claimed.Kind()), func(t *testing.T) {
					w.Clock.Step(2 * time.Minute) // so that everybody's keys may be fetched again, and there is a verdict
					r.AuthorizationCode, r.Name = false, ""
					r.Mutate = func(c map[string]any) { c["iss"] = claimed.Issuer() }
					w.unchanged(t, func() { wantRefused(t, w.attempt(t, w.phone(), signer, r), "invalid_request") })
					wantIn(t, w.attempt(t, w.phone(), claimed, r)) // it is the key alone
				})
			}
		}
	}, unlimited)
}

// ID04 and DS04: wrong in their signature or in their header.
func TestID04ForgedTokensAreRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		for name, spoil := range map[string]func(*standin.TokenRequest){
			"alg none":                        func(r *standin.TokenRequest) { r.Forgery = standin.AlgNone },
			"HS256 with the public key":       func(r *standin.TokenRequest) { r.Forgery = standin.HMACWithPublicKey },
			"another key under the kid":       func(r *standin.TokenRequest) { r.Forgery = standin.ForeignKey },
			"another algorithm under the kid": func(r *standin.TokenRequest) { r.Forgery = standin.ForeignAlg },
			"the forger's key in the header":  func(r *standin.TokenRequest) { r.Forgery = standin.EmbeddedKey },
			"a flipped bit in the signature":  func(r *standin.TokenRequest) { r.Forgery = standin.BadSignature },
			"a critical header nobody knows":  header("crit", []string{"exp"}),
			"b64 switched off":                header("b64", false),
			"DS04 compressed":                 header("zip", "DEF"),
			"no signature": func(r *standin.TokenRequest) {
				r.Token = func(s string) string { return s[:strings.LastIndex(s, ".")+1] }
			},
			"a part too many":                  func(r *standin.TokenRequest) { r.Token = func(s string) string { return s + ".e30" } },
			"DS04 five parts, as if encrypted": func(r *standin.TokenRequest) { r.Token = func(s string) string { return s + ".e30.e30" } },
			"padding":                          func(r *standin.TokenRequest) { r.Token = func(s string) string { return s + "=" } },
			"a line break":                     func(r *standin.TokenRequest) { r.Token = func(s string) string { return s[:40] + "\n" + s[40:] } },
			"DS04 20 KiB": func(r *standin.TokenRequest) {
				r.Mutate = func(c map[string]any) { c["picture"] = strings.Repeat("a", 20<<10) }
			},
			"not a token at all": func(r *standin.TokenRequest) { r.Token = func(string) string { return "hello" } },
		} {
			t.Run(name, func(t *testing.T) {
				w.unchanged(t, func() {
					for from, r := range w.providers() {
						spoil(&r)
						wantRefused(t, w.attempt(t, w.phone(), from, r), "invalid_request")
					}
				})
			})
		}
	}, unlimited)
}

func header(name string, value any) func(*standin.TokenRequest) {
	return func(r *standin.TokenRequest) { r.Header = func(h map[string]any) { h[name] = value } }
}

// ID06: wrong in time.
func TestID06TokensOutOfTheirTimeAreRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		now := w.Clock.Now()
		set := func(name string, value any) func(*standin.TokenRequest) {
			return func(r *standin.TokenRequest) { r.Mutate = func(c map[string]any) { c[name] = value } }
		}
		without := func(name string) func(*standin.TokenRequest) {
			return func(r *standin.TokenRequest) { r.Mutate = func(c map[string]any) { delete(c, name) } }
		}
		raw := func(name, value string) func(*standin.TokenRequest) {
			return func(r *standin.TokenRequest) {
				set(name, "@@")(r)
				r.Payload = func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`"@@"`), []byte(value)) }
			}
		}
		for name, spoil := range map[string]func(*standin.TokenRequest){
			"expired": func(r *standin.TokenRequest) {
				r.IssuedAt, r.ExpiresAt = now.Add(-2*time.Hour), now.Add(-time.Hour)
			},
			"issued ahead":              set("iat", now.Add(2*time.Minute).Unix()),
			"not before tomorrow":       set("nbf", now.Add(24*time.Hour).Unix()),
			"proven tomorrow":           set("auth_time", now.Add(24*time.Hour).Unix()),
			"without exp":               without("exp"),
			"without iat":               without("iat"),
			"exp a string":              set("exp", fmt.Sprint(now.Add(time.Hour).Unix())),
			"exp null":                  raw("exp", "null"),
			"exp 1e400":                 raw("exp", "1e400"),
			"exp negative":              set("exp", -1),
			"exp an array":              raw("exp", "[9999999999]"),
			"issued eleven minutes ago": func(r *standin.TokenRequest) { r.IssuedAt = now.Add(-11 * time.Minute) },
		} {
			t.Run(name, func(t *testing.T) {
				w.unchanged(t, func() {
					for from, r := range w.providers() {
						spoil(&r)
						wantRefused(t, w.attempt(t, w.phone(), from, r), "invalid_request")
					}
				})
			})
		}
		t.Run("within its time it is taken", func(t *testing.T) {
			for from, r := range w.providers() {
				r.IssuedAt = now.Add(-9 * time.Minute)
				wantIn(t, w.attempt(t, w.phone(), from, r))
				r.IssuedAt = now.Add(50 * time.Second)
				wantIn(t, w.attempt(t, w.phone(), from, r))
			}
		})
	}, unlimited)
}

// ID22: JSON that two readers read in two ways.
func TestID22AmbiguousTokensAreRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		insert := func(member string) func([]byte) []byte {
			return func(b []byte) []byte { return append([]byte("{"+member+","), b[1:]...) }
		}
		for name, payload := range map[string]func([]byte) []byte{
			"aud twice":              insert(`"aud":"someone else"`),
			"aud twice, escaped":     insert(`"\u0061ud":"someone else"`),
			"sub twice":              insert(`"sub":"victim"`),
			"SUB beside sub":         insert(`"SUB":"victim"`),
			"Iss beside iss":         insert(`"Iss":"https://evil.example"`),
			"a byte order mark":      func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) },
			"something behind":       func(b []byte) []byte { return append(b, "{}"...) },
			"no UTF-8":               insert(`"x":"` + "\xff" + `"`),
			"half a surrogate pair":  insert(`"sub2":"\ud800"`),
			"UTF-16":                 utf16,
			"nested too deep":        insert(`"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200)),
			"an array of tokens":     func(b []byte) []byte { return append(append([]byte("["), b...), ']') },
			"a member twice, deeper": insert(`"x":{"a":1,"a":2}`),
		} {
			t.Run(name, func(t *testing.T) {
				w.unchanged(t, func() {
					for from, r := range w.providers() {
						r.Payload = payload
						wantRefused(t, w.attempt(t, w.phone(), from, r), "invalid_request")
					}
				})
			})
		}
	}, unlimited)
}

func utf16(b []byte) []byte {
	var wide []byte
	for _, c := range b {
		wide = append(wide, c, 0)
	}
	return wide
}

// TX02, and what else belongs to the app a token was made for: rfc8725-3.9-02 rfc7519-4.1.3-01.
func TestTX02ATokenForAnotherAppIsRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		at := func(client string) func(*standin.PhoneConfig) { return harness.As(client, scope) }
		aud := func(r standin.TokenRequest, aud any) standin.TokenRequest {
			r.Mutate = func(c map[string]any) { c["aud"] = aud }
			return r
		}
		for _, tt := range []struct {
			name   string
			client string
			from   *standin.Provider
			r      standin.TokenRequest
		}{
			{"a provider this client does not list", harness.OtherClientID, w.Corp, corp("ada")},
			{"a provider another client lists", harness.BoundClientID, w.Apple, apple("ada")},
			{"the audience of another client", harness.OtherClientID, w.Google, google("ada")},
			{"an audience nobody lists", harness.ClientID, w.Google, aud(google("ada"), "stranger.example")},
			{"no audience", harness.ClientID, w.Google, aud(google("ada"), nil)},
			{"an empty audience", harness.ClientID, w.Google, aud(google("ada"), "")},
			{"an empty list of audiences", harness.ClientID, w.Google, aud(google("ada"), []string{})},
			{"ours and a stranger's", harness.ClientID, w.Google, aud(google("ada"), []string{harness.GoogleWeb, "stranger.example"})},
			{"the same letters in another case", harness.ClientID, w.Google, aud(google("ada"), strings.ToUpper(harness.GoogleWeb))},
			{"Google's audience at corp", harness.ClientID, w.Corp, aud(corp("ada"), harness.GoogleWeb)},
			{"asked for by another app of the project", harness.ClientID, w.Google, standin.GoogleAndroid(harness.GoogleWeb, "stranger.example", harness.Person("ada"))},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w.unchanged(t, func() {
					p := w.phone(at(tt.client))
					f := w.prepare(t, p, tt.from, tt.r)
					f.Set("client_id", tt.client)
					wantRefused(t, send(t, p, f), "invalid_request")
				})
			})
		}
	}, unlimited)
}

// TX01, TX04: what else somebody may try to exchange.
func TestTX01OnlyAProvidersIDTokenIsExchanged(t *testing.T) {
	onEngines(t, func(t *testing.T, w *world) {
		p := w.phone()
		ours := wantIn(t, w.attempt(t, p, w.Google, google("ada")))
		credential, err := w.Google.Issue(google("ada"))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ name, field, value, code string }{
			{"TX01 our refresh token", "subject_token", ours.RefreshToken, "invalid_request"},
			{"TX01 our access token", "subject_token", ours.AccessToken, "invalid_request"},
			{"TX04 our id_token", "subject_token", ours.IDToken, "invalid_request"},
			{"TX01 an id_token declared as access token", "subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "invalid_request"},
			{"TX04 declared as refresh token", "subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"},
			{"TX04 declared as any JWT", "subject_token_type", "urn:ietf:params:oauth:token-type:jwt", "invalid_request"},
			{"TX04 an actor", "actor_token", credential.IDToken, "invalid_request"},
			{"TX04 half an actor", "actor_token_type", idTokenType, "invalid_request"},
			{"another token asked for", "requested_token_type", idTokenType, "invalid_request"},
			{"no subject token", "subject_token", "", "invalid_request"},
			{"an access token of the provider", "subject_token", "ya29.a0AfH6SMC", "invalid_request"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w.unchanged(t, func() {
					f := w.prepare(t, p, w.Google, google("ada"))
					f.Set(tt.field, tt.value)
					wantRefused(t, send(t, p, f), tt.code)
				})
			})
		}
	}, unlimited)
}
