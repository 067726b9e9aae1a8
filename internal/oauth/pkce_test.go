package oauth

import (
	"strings"
	"testing"
)

// The pair of RFC 7636 appendix B.
const (
	vectorVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	vectorChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func TestTheVectorOfRFC7636(t *testing.T) { // rfc7636-4.2-01
	if got := Challenge(vectorVerifier); got != vectorChallenge {
		t.Error(got)
	}
	if !ValidChallenge(vectorChallenge) || !VerifierFits(vectorVerifier, vectorChallenge) {
		t.Error("the vector does not hold")
	}
}

func TestVerifiers(t *testing.T) { // rfc7636-4.1-01 rfc7636-4.6-01 TK08
	longest := strings.Repeat("-._~aZ09", 16)
	tests := []struct {
		name, verifier, challenge string
		fits                      bool
	}{
		{"the right one", vectorVerifier, vectorChallenge, true},
		{"of 128 characters, all kinds of them", longest, Challenge(longest), true},
		{"of 43 characters", strings.Repeat("a", 43), Challenge(strings.Repeat("a", 43)), true},
		{"none, and none was asked for", "", "", true},
		{"one that nobody asked for", vectorVerifier, "", false},
		{"missing", "", vectorChallenge, false},
		{"another", strings.Repeat("a", 43), vectorChallenge, false},
		{"the challenge itself", vectorChallenge, vectorChallenge, false}, // plain
		{"in another case", strings.ToUpper(vectorVerifier), vectorChallenge, false},
		{"too short", strings.Repeat("a", 42), Challenge(strings.Repeat("a", 42)), false},
		{"too long", strings.Repeat("a", 129), Challenge(strings.Repeat("a", 129)), false},
		{"a space in it", strings.Repeat("a", 42) + " ", Challenge(strings.Repeat("a", 42) + " "), false},
		{"a plus in it", strings.Repeat("a", 42) + "+", Challenge(strings.Repeat("a", 42) + "+"), false},
		{"padded", strings.Repeat("a", 43) + "=", Challenge(strings.Repeat("a", 43) + "="), false},
		{"beyond ASCII", strings.Repeat("ä", 30), Challenge(strings.Repeat("ä", 30)), false},
		{"NUL in it", strings.Repeat("a", 43) + "\x00", Challenge(strings.Repeat("a", 43) + "\x00"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := VerifierFits(tt.verifier, tt.challenge); got != tt.fits {
				t.Errorf("%t", got)
			}
		})
	}
}

func TestChallenges(t *testing.T) { // AZ18
	for name, challenge := range map[string]string{
		"empty": "", "short": vectorChallenge[1:], "long": vectorChallenge + "A", "padded": vectorChallenge + "=",
		"of the other alphabet": strings.ReplaceAll(vectorChallenge, "-", "+"), "a space": vectorChallenge[:42] + " ",
		"bits beyond the hash": vectorChallenge[:42] + "N", "hex": strings.Repeat("ab", 32), "a line feed": vectorChallenge[:42] + "\n",
		"a line feed more": vectorChallenge + "\n",
	} {
		if ValidChallenge(challenge) {
			t.Errorf("%s: %q", name, challenge)
		}
	}
}
