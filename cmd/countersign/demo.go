package main

import "github.com/countersign/countersign/internal/demo"

type demoCmd struct {
	Once     bool   `help:"Play it and end, with an error at the first step that does not hold."`
	Database string `hidden:"" placeholder:"URL" help:"Play it on this database instead of SQLite in a temporary folder."`
}

// Help is shown below the flags.
func (demoCmd) Help() string {
	return `Starts a server in a temporary folder, stand-in Google and Apple, a sample app server and two phones, and plays
sign-in, refresh, lost responses, linking, a restart and a theft over real HTTP. Then it keeps serving, and prints what
to try.`
}

// Run plays the story.
func (d *demoCmd) Run(c *console) error {
	return demo.Run(c.ctx, demo.Options{Once: d.Once, Out: c.out, Database: d.Database})
}
