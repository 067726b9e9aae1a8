package standin_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
)

const (
	creation = `{"rp":{"id":"example.com","name":"Example"},"user":{"id":"YWNjb3VudA","name":"a","displayName":"A"},` +
		`"challenge":"AAAAAAAAAAAAAAAAAAAAAA","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`
	request = `{"rpId":"example.com","challenge":"AAAAAAAAAAAAAAAAAAAAAA"}`
)

func TestAnAuthenticatorKeepsOnePasskeyPerPersonAndRP(t *testing.T) {
	a := standin.NewAuthenticator()
	for range 2 {
		if _, err := a.Create([]byte(creation), "https://login.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Create([]byte(strings.Replace(creation, "YWNjb3VudA", "b3RoZXI", 1)), "https://example.com"); err != nil {
		t.Fatal(err)
	}
	if got := len(a.Passkeys()); got != 2 {
		t.Fatalf("%d passkeys", got)
	}
	a.Forget(a.Passkeys()[0])
	a.Forget(a.Passkeys()[0])
	if _, err := a.Get([]byte(request), "https://example.com"); !errors.Is(err, standin.ErrNoPasskey) {
		t.Errorf("got %v", err)
	}
}

func TestABrowserLetsNoPageUseAnothersPasskeys(t *testing.T) {
	a := standin.NewAuthenticator()
	if _, err := a.Create([]byte(creation), "https://example.com"); err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{
		"https://evil.example", "https://notexample.com", "http://example.com", "https://example.com/", "example.com", "https://com",
	} {
		if _, err := a.Get([]byte(request), origin); err == nil {
			t.Errorf("%s may", origin)
		}
		if _, err := a.Create([]byte(creation), origin); err == nil {
			t.Errorf("%s may make one", origin)
		}
	}
	if _, err := a.Get([]byte(strings.Replace(request, "example.com", "evil.example", 1)), "https://evil.example"); !errors.Is(err, standin.ErrNoPasskey) {
		t.Errorf("a page of its own: %v", err)
	}
}

func TestAnAuthenticatorHonoursWhatTheOptionsNameAndForbid(t *testing.T) {
	a := standin.NewAuthenticator()
	around := []byte(`{"publicKey":` + creation + `}`)
	if _, err := a.Create(around, "https://example.com"); err != nil {
		t.Fatal(err)
	}
	named := strings.TrimSuffix(request, "}") + `,"allowCredentials":[{"type":"public-key","id":"AAAA"}]}`
	if _, err := a.Get([]byte(named), "https://example.com"); !errors.Is(err, standin.ErrNoPasskey) {
		t.Errorf("another's id: %v", err)
	}
	one, err := a.Get([]byte(request), "https://example.com")
	if err != nil {
		t.Fatal(err)
	}
	two, err := a.Get([]byte(request), "https://example.com")
	if err != nil || bytes.Equal(one, two) {
		t.Errorf("the same answer twice, %v", err)
	}
	eddsa := standin.NewAuthenticator(standin.WithPasskeyAlg(standin.PasskeyEdDSA))
	if _, err := eddsa.Create([]byte(creation), "https://example.com"); err == nil {
		t.Error("an algorithm was used that is not offered")
	}
	if _, err := a.Create([]byte("{"), "https://example.com"); err == nil {
		t.Error("broken options are taken")
	}
}
