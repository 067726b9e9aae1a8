package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
)

// remote is embedded by commands that speak to a running server.
type remote struct {
	configured
	Server string `env:"COUNTERSIGN_SERVER" placeholder:"URL" help:"Address of the admin API. Without it: admin.listen of the configuration, else http://127.0.0.1:8081. (${env})"`
	JSON   bool   `help:"Print JSON, for scripts."`

	scope string // what the command needs
}

// Help is shown below the flags.
func (remote) Help() string {
	return "Speaks to a running server with the API key in " + config.EnvAPIKey + "; \"countersign api-key new\" makes one."
}

// client connects to the server; scope is what a new key would need for the command.
func (r *remote) client(scope string) (*client.Client, error) {
	if r.Server == "" {
		cfg, err := config.Load(r.Config, app.CheckDatabase) // only for an address: dev mode is a fair guess
		if err != nil {
			return nil, fmt.Errorf("where is the server? Name it with --server, or mend the configuration:\n%w", err)
		}
		r.Server = cfg.AdminURL()
	}
	key := os.Getenv(config.EnvAPIKey)
	if key == "" {
		return nil, fmt.Errorf("%s is not set; make a key with: %s", config.EnvAPIKey, r.makeKey(scope))
	}
	r.scope = scope
	return client.New(r.Server, key)
}

// makeKey is the command that makes a key this server knows: the configuration says in which database it belongs.
func (r *remote) makeKey(scope string) string {
	file := r.Config
	if file == "" {
		file = "FILE"
	}
	return fmt.Sprintf("countersign api-key new --config %s --name NAME --scope %s", file, scope)
}

// explain adds the next step to an error of the client.
func (r *remote) explain(err error) error {
	var refused *client.Error
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w\nA key of another database, or none: make one with: %s", err, r.makeKey(r.scope))
	case errors.As(err, &refused):
		return err
	case errors.As(err, &network):
		return fmt.Errorf("%w\nIs the server running at %s? Start it with \"countersign serve\", or name another with --server", err, r.Server)
	}
	return err
}
