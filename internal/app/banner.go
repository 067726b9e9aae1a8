package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/countersign/countersign/internal/config"
)

// writeBanner says what dev mode is and where to go from here. A terminal that is gone stops nothing.
func writeBanner(w io.Writer, a *App) {
	c := a.config
	key := c.MasterKeyFile
	if key == "" {
		key = "the master key in " + config.EnvMasterKey
	}
	_, _ = fmt.Fprintf(w, `Countersign in dev mode: for this machine alone, not for real people.

  issuer      %s
  metadata    %s/.well-known/openid-configuration
  admin API   %s   (its health: %s/readyz)
  data        %s, sealed by %s

`, c.Issuer, c.Issuer, a.AdminURL(), a.AdminURL(), strings.TrimPrefix(c.RedactedDatabase(), "sqlite:"), key)
	_, _ = fmt.Fprint(w, `No app is declared yet. Next:
  countersign demo                          see everything at work, with stand-in Google and Apple
  countersign serve --config FILE           your own apps and providers; examples/countersign.yaml shows every kind,
                                            and docs/README.md has a guide for each
  countersign api-key new --name me --scope accounts.read --scope sessions.read
                                            a key for the admin API

`)
}
