package main

import (
	"fmt"

	"github.com/countersign/countersign/client"
)

type sessionCmd struct {
	List sessionListCmd `cmd:"" help:"List the sessions of an account."`
	End  sessionEndCmd  `cmd:"" help:"End one session, or all of an account."`
}

type sessionListCmd struct {
	remote
	Account string `arg:"" help:"The account's id, acc_..."`
	Ended   bool   `help:"Also those that ended or expired."`
}

// Run lists the sessions.
func (l *sessionListCmd) Run(c *console) error {
	api, err := l.client("sessions.read")
	if err != nil {
		return err
	}
	sessions, err := api.AccountSessions(c.ctx, l.Account, l.Ended)
	if err != nil {
		return l.explain(err)
	}
	if l.JSON {
		return printJSON(c.out, sessions)
	}
	t := table{header: []string{"ID", "APP", "DEVICE", "GUARDED BY", "SINCE", "STATE"}}
	for _, s := range sessions {
		t.add(s.ID, s.ClientID, s.DeviceName, guardedBy(s), shown(s.CreatedAt), state(s))
	}
	return t.print(c.out, "No session.")
}

// guardedBy says what keeps a thief of the refresh token out.
func guardedBy(s client.Session) string {
	switch s.Tier {
	case "bound":
		return "device key"
	case "bearer":
		return "rotation"
	case "stable":
		return "client secret"
	}
	return s.Tier
}

func state(s client.Session) string {
	switch {
	case s.EndReason != "":
		return s.State + " (" + s.EndReason + ") " + shown(s.EndedAt)
	case s.State == "live" && !s.Live:
		return "live, but not usable: its account or its client is disabled"
	}
	return s.State
}

type sessionEndCmd struct {
	remote
	ID    string `arg:"" optional:"" help:"The session's id, ses_...: the sid of its tokens."`
	AllOf string `placeholder:"ACCOUNT" help:"Instead of one: all sessions of this account, acc_..."`
}

const errWhichSession = usageError("name one session by its id, or all of an account with --all-of ACCOUNT")

// Run ends what was named.
func (e *sessionEndCmd) Run(c *console) error {
	if (e.ID != "") == (e.AllOf != "") {
		return errWhichSession
	}
	api, err := e.client("sessions.write")
	if err != nil {
		return err
	}
	ended, what := 1, e.ID
	if e.AllOf != "" {
		ended, err = api.EndAccountSessions(c.ctx, e.AllOf)
		what = count(ended, "session") + " of " + e.AllOf
	} else {
		err = api.EndSession(c.ctx, e.ID)
	}
	if err != nil {
		return e.explain(err)
	}
	if e.JSON {
		return printJSON(c.out, map[string]int{"ended": ended})
	}
	_, err = fmt.Fprintf(c.out, "Ended %s. Access tokens that app servers check by themselves run out within minutes.\n", what)
	return err
}
