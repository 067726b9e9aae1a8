package clientmeta

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/jose"
)

const (
	forAgreement = `{"kty":"EC","crv":"P-256","kid":"b","use":"enc","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	toSignWith   = `{"kty":"EC","crv":"P-256","kid":"c","key_ops":["sign"],"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	unheard      = `{"kty":"QC","kid":"d"}`
)

func TestEveryKeyOfASetIsJudged(t *testing.T) {
	keys, err := ReadKeys([]byte(`{"keys":[` + strings.Join([]string{ecKey, forAgreement, toSignWith, unheard, ecKey, ecPrivate}, ",") + `]}`))
	if err != nil || len(keys) != 6 {
		t.Fatal(keys, err)
	}
	for i, want := range []error{nil, ErrNotForSigning, ErrNotForSigning, nil, ErrSameKid, jose.ErrPrivateKey} {
		switch {
		case i == 3:
			if keys[i].Fault == nil || keys[i].PublicKey != nil {
				t.Errorf("a key of no kind we know: %+v", keys[i])
			}
		case !errors.Is(keys[i].Fault, want):
			t.Errorf("key %d: %v, want %v", i, keys[i].Fault, want)
		}
	}
	if keys[4].SameAs != 0 {
		t.Errorf("like key %d", keys[4].SameAs)
	}
	for _, bad := range []string{`[]`, `{}`, `{"keys":{}}`, `{"keys":[],"keys":[]}`, `{"keys":[]} ` + `x`} {
		if _, err := ReadKeys([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// What is kept of a registered set is what counts: no certificates beside a key, and no key that verifies nothing.
func TestOfARegisteredSetTheUsableKeysAreKept(t *testing.T) {
	wordy := strings.Replace(ecKey, `"kid"`, `"x5c":["`+strings.Repeat("A", 4000)+`"],"kid"`, 1)
	c, m, err := judged(t, domain.RegisteredByAnybody, `{"redirect_uris":["https://a.example/cb"],"jwks":{"more":1,"keys":[`+strings.Join([]string{wordy, forAgreement, toSignWith, unheard}, ",")+`]}}`)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := jose.ParseSet(c.JWKS); err != nil || len(keys) != 1 || keys[0].Kid != "a" || len(c.JWKS) > 300 {
		t.Errorf("%s %v", c.JWKS, err)
	}
	if string(m.JWKS) != string(c.JWKS) {
		t.Errorf("the answer says %s", m.JWKS)
	}
}
