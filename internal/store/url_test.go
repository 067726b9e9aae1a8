package store

import (
	"strings"
	"testing"
)

func TestAURLTheDriverCannotUseIsRefusedBeforeConnecting(t *testing.T) {
	for address, says := range map[string]string{
		"sqlite:":          "sqlite needs a file",
		"mysql://h/db":     "must begin with",
		"postgres://%zz":   "cannot be parsed",
		"postgres://u@h/d": "",
		"postgres://u:hush@h/d?sslmode=bogus&connect_timeout=5":          "the parameter sslmode of the database URL cannot be used: ",
		"postgres://u:hush@h/d?connect_timeout=x":                        "the parameter connect_timeout of the database URL cannot be used: it is not a number",
		"postgres://h/d?user=u&password=hush&sslmode=bogus":              "the parameter sslmode of the database URL cannot be used: ",
		"postgres://u:hush@h/d?target_session_attrs=none":                "the parameter target_session_attrs of the database URL cannot be used",
		"postgres://u:hush@h/d?sslrootcert=/nowhere&sslmode=verify-full": "/nowhere",
		"postgres://u:hush@h/d?sslmode=bogus&connect_timeout=x":          "cannot be parsed",
		"postgres://u:hush@h:0/d":                                        "cannot be parsed",
		"postgres://u:hu/sh@h/d":                                         "cannot be parsed",
	} {
		err := CheckURL(address)
		if says == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", address, err, says)
			continue
		}
		if text := err.Error(); strings.Contains(text, "hush") || strings.Contains(text, "hu/") || strings.Contains(text, "@") {
			t.Errorf("%s: it shows the URL: %s", address, text)
		}
		if _, opened := Open(t.Context(), Options{URL: address}); opened == nil || strings.Contains(opened.Error(), "hush") {
			t.Errorf("%s: Open says %v", address, opened)
		}
	}
}

func TestAVariableTheDriverCannotUseIsNotBlamedOnTheURL(t *testing.T) {
	t.Setenv("PGCONNECT_TIMEOUT", "soon")
	if err := CheckURL("postgres://u@h/d?sslmode=disable"); err == nil || !strings.Contains(err.Error(), "variable of the environment") {
		t.Errorf("%v", err)
	}
}

// A refresh that was answered must survive the database.
func TestADatabaseThatForgetsCommitsIsRefused(t *testing.T) {
	for parameters, refused := range map[string]bool{
		"synchronous_commit=off":                true,
		"Synchronous_Commit=OFF":                true,
		"synchronous_commit=0":                  true,
		"options=-c%20synchronous_commit%3Doff": true,
		"options=-csynchronous_commit%3Dfalse":  true,
		"options=--synchronous-commit%3Dno":     true,
		"options=-c%20jit%3Doff%20-c%20synchronous_commit%3Doff%20-c%20geqo%3Doff": true,
		"synchronous_commit=on":                    false,
		"synchronous_commit=local":                 false,
		"options=-c%20synchronous_commit%3Don":     false,
		"options=-c%20my.synchronous_commit%3Doff": false,
		"application_name=off":                     false,
	} {
		err := CheckURL("postgres://u@h/d?" + parameters)
		if (err != nil) != refused {
			t.Errorf("%s: %v", parameters, err)
		}
		if refused && err != nil && !strings.Contains(err.Error(), "synchronous_commit is off") {
			t.Errorf("%s: %v", parameters, err)
		}
	}
}
