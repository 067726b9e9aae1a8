package main

import (
	"fmt"

	"github.com/countersign/countersign/internal/app"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say all that is wrong with a configuration, with the lines and what to do."`
}

type configCheckCmd struct {
	configured
	File string `arg:"" optional:"" help:"Configuration file; instead of --config."`
	Show bool   `help:"Print the configuration, file and environment together, without secrets. Zero and empty are the default."`
}

// Run checks. The files it names are read, the database and the providers are not asked.
func (k *configCheckCmd) Run(c *console) error {
	if k.File != "" {
		k.Config = k.File
	}
	cfg, err := k.load(c)
	if err != nil {
		return err
	}
	if err := app.CheckPages(cfg); err != nil {
		return err
	}
	name := k.Config
	if name == "" {
		name = "dev mode"
	}
	if k.Show {
		_, err = fmt.Fprint(c.out, cfg.String())
		return err
	}
	for _, w := range cfg.Warnings() {
		_, _ = fmt.Fprintf(c.out, "note: %s\n", w)
	}
	for _, line := range append(cfg.Profiles(), cfg.Registrations()...) {
		_, _ = fmt.Fprintln(c.out, line)
	}
	_, err = fmt.Fprintf(c.out, "%s: good. Issuer %s, %s, %s, %s.\n", name, cfg.Issuer,
		count(len(cfg.Providers), "provider"), count(len(cfg.Resources), "resource"), count(len(cfg.Clients), "client"))
	return err
}
