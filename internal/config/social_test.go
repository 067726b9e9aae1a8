package config

import (
	"testing"
)

// What Facebook, LINE, Discord, GitLab and a GitHub of one's own need reaches the room that uses it.
func TestTheOtherProvidersAreReadAsWritten(t *testing.T) {
	const there = "testdata/accepted/social.yaml"
	c, err := load(there, nil)
	if err != nil {
		t.Fatal(err)
	}
	type pinned struct{ issuer, base, version string }
	for i, want := range []pinned{
		{version: "v25.0"}, {}, {}, {}, {issuer: "https://gitlab.example.com/git"}, {}, {base: "https://github.example.com"}, {issuer: "https://kauth.kakao.com"},
	} {
		s := c.Upstream()[i]
		if got := (pinned{s.Issuer, s.BaseURL, s.GraphVersion}); got != want || s.ClientSecret == "" {
			t.Errorf("%s: %+v, want %+v", s.Name, got, want)
		}
	}
	if c.AllowLoopback() {
		t.Error("requests to this machine are allowed")
	}
	for _, typ := range []string{"facebook", "discord", "gitlab"} {
		c, err := with(t, "issuer: https://login.example.com\nproviders: [{name: p, type: "+typ+", client_id: x}]\n", "COUNTERSIGN_PROVIDER_P_CLIENT_SECRET=from-the-environment")
		if err != nil || c.Upstream()[0].ClientSecret != "from-the-environment" {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// A GitLab on this machine is a stand-in for one: it may be asked only while nobody else is served.
func TestAGitLabOnThisMachineIsForThisMachineAlone(t *testing.T) {
	const provider = "providers: [{name: gitlab, type: gitlab, issuer: \"http://127.0.0.1:9001\", client_id: x}]\n"
	const secret = "COUNTERSIGN_PROVIDER_GITLAB_CLIENT_SECRET=x"
	if c, err := with(t, "issuer: http://localhost:8080\n"+provider, secret); err != nil || !c.AllowLoopback() {
		t.Errorf("%v", err)
	}
	if _, err := with(t, "issuer: https://login.example.com\nlisten: 0.0.0.0:8080\n"+provider, secret); err == nil {
		t.Error("taken where others are served")
	}
}
