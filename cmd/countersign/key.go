package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/app"
)

type keyCmd struct {
	NewMaster keyNewMasterCmd `cmd:"" help:"Make a master key, which seals all others. Needs no server."`
	List      keyListCmd      `cmd:"" help:"List the keys, without their secrets."`
	Rotate    keyRotateCmd    `cmd:"" help:"Let the next keys take over before it is their time."`
	Drop      keyDropCmd      `cmd:"" help:"Refuse a signing key at once, for the day it leaks."`
}

type keyNewMasterCmd struct {
	Out string `placeholder:"FILE" help:"Write it to a new file that only you can read, instead of printing it."`
}

// Help is shown below the flags.
func (keyNewMasterCmd) Help() string {
	return `Keep a copy outside the database and its backups: whoever has both has everything, and without the master key the
database cannot be used. To replace it without an outage: put the new line below the old one on every node and restart,
then put it first and restart, then take the old line away.`
}

// Run prints a line, or writes the file.
func (k *keyNewMasterCmd) Run(c *console) error {
	if k.Out == "" {
		_, err := fmt.Fprintln(c.out, app.MasterKeyLine())
		return err
	}
	err := app.WriteMasterKey(k.Out)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; a master key is never overwritten", k.Out)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "Wrote %s. Name it in the configuration: master_key_file: %s\n", k.Out, k.Out)
	return err
}

type keyListCmd struct{ remote }

// Run lists the keys.
func (l *keyListCmd) Run(c *console) error {
	api, err := l.client("keys.read")
	if err != nil {
		return err
	}
	keys, err := api.Keys(c.ctx)
	return l.reportKeys(c, keys, err)
}

type keyRotateCmd struct {
	remote
	Now bool `help:"Do not wait until the next keys were published for a day: six minutes will do."`
}

// Help is shown below the flags.
func (keyRotateCmd) Help() string {
	return `The next keys are published long before their turn, so usually they take over at once. Only if the last rotation was
less than a day ago (with --now: six minutes) do they wait for the rest of it, so that nobody meets a key it has not
seen in /jwks. The list says from when each is in use.`
}

// Run rotates.
func (k *keyRotateCmd) Run(c *console) error {
	api, err := k.client("keys.write")
	if err != nil {
		return err
	}
	keys, err := api.RotateKeys(c.ctx, k.Now)
	return k.reportKeys(c, keys, err)
}

func (r *remote) reportKeys(c *console, keys []client.Key, err error) error {
	if err != nil {
		return r.explain(err)
	}
	if r.JSON {
		return printJSON(c.out, keys)
	}
	t := table{header: []string{"KEY", "FOR", "ALGORITHM", "STATE", "IN USE FROM", "UNTIL", "ACCEPTED UNTIL"}}
	for _, k := range keys {
		name, purpose := k.Kid, "signing tokens"
		if k.Use == "data" {
			name, purpose = fmt.Sprint(k.ID), "sealing, MACs"
		}
		t.add(name, purpose, k.Alg, k.State, shown(k.ActiveAt), shown(k.RetiredAt), shown(k.ExpiresAt))
	}
	return t.print(c.out, "No key: the server has never run.")
}

type keyDropCmd struct {
	remote
	Kid string `arg:"" help:"The key's name, as key list and /jwks show it."`
}

// Run drops a key.
func (d *keyDropCmd) Run(c *console) error {
	api, err := d.client("keys.write")
	if err != nil {
		return err
	}
	if err := api.DropKey(c.ctx, d.Kid); err != nil {
		return d.explain(err)
	}
	if d.JSON {
		return printJSON(c.out, map[string]string{"dropped": d.Kid})
	}
	_, err = fmt.Fprintf(c.out, "Dropped %s. Access tokens it signed are refused from now on; apps refresh and go on.\n", d.Kid)
	return err
}
