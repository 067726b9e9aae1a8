// Command countersign is the authorization server and its command line. It parses, calls package app or the client of
// the admin API, and prints: nothing is decided here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/countersign/countersign/internal/app"
	"github.com/countersign/countersign/internal/config"
)

// console is what every command gets.
type console struct {
	ctx      context.Context
	out, err io.Writer
}

// commands is the whole command line.
type commands struct {
	Serve             serveCmd             `cmd:"" group:"Run" help:"Serve. Without a configuration file: dev mode, for this machine alone."`
	Demo              demoCmd              `cmd:"" group:"Run" help:"Play the whole story with stand-in providers, phones and a thief."`
	Migrate           migrateCmd           `cmd:"" group:"Run" help:"Bring the database schema up to date. serve does it too."`
	Config            configCmd            `cmd:"" group:"Set up" help:"Check a configuration."`
	Key               keyCmd               `cmd:"" group:"Set up" help:"The keys that sign and seal."`
	APIKey            apiKeyCmd            `cmd:"" group:"Set up" name:"api-key" help:"The keys of the admin API."`
	Account           accountCmd           `cmd:"" group:"Operate" help:"People: look them up, disable them."`
	Session           sessionCmd           `cmd:"" group:"Operate" help:"Where people are signed in: list, end."`
	Client            clientCmd            `cmd:"" group:"Operate" help:"Apps: those that registered themselves; disable any."`
	RegistrationToken registrationTokenCmd `cmd:"" group:"Operate" name:"registration-token" help:"Initial access tokens: who may register clients."`
	Version           versionCmd           `cmd:"" group:"Other" help:"Print the version."`
}

const description = `Countersign is the authorization server for mobile apps.

Start with "countersign demo". Every command explains itself with --help. Secrets come from files or the environment:
COUNTERSIGN_DATABASE, COUNTERSIGN_MASTER_KEY (each also with _FILE, naming a file that holds the value) and, for the
commands that speak to a running server, COUNTERSIGN_API_KEY.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(console{ctx: ctx, out: os.Stdout, err: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func run(c console, args []string) int {
	exited := -1
	parser, err := kong.New(&commands{},
		kong.Name("countersign"),
		kong.Description(description),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return c.fail(err, "")
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help was printed
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintf(c.err, "countersign: %v\n\"countersign --help\" lists the commands.\n", err)
		return exitUsage
	}
	if err := parsed.Run(&c); err != nil {
		return c.fail(err, parsed.Command())
	}
	return exitOK
}

// usageError is what a command says of arguments that the parser let through.
type usageError string

func (e usageError) Error() string { return string(e) }

// fail prints an error of a command the way a person wants to read it.
func (c console) fail(err error, command string) int {
	var problems config.Problems
	if errors.As(err, &problems) {
		_, _ = fmt.Fprintln(c.err, problems.Error())
		outcome := ""
		if command == "serve" {
			outcome = "; nothing was started"
		}
		_, _ = fmt.Fprintf(c.err, "\n%s in the configuration%s.\n", count(len(problems), "problem"), outcome)
		return exitError
	}
	// Errors of package client begin with its name, which is ours.
	_, _ = fmt.Fprintf(c.err, "countersign: %s\n", strings.TrimPrefix(err.Error(), "countersign: "))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// configured is embedded by commands that read the configuration.
type configured struct {
	Config string `short:"c" env:"COUNTERSIGN_CONFIG" placeholder:"FILE" help:"Configuration file. Without one: dev mode. (${env})"`
}

func (c configured) load(to *console) (*config.Config, error) {
	if _, err := os.Stat(likelyFile); c.Config == "" && err == nil {
		_, _ = fmt.Fprintf(to.err, "dev mode: %s in this folder is not read. Name it with --config %s.\n", likelyFile, likelyFile)
	}
	return config.Load(c.Config, app.CheckDatabase)
}

// named refuses dev mode where a configuration lies at hand, for what is of no use in any other database than its own.
func (c configured) named() error {
	if _, err := os.Stat(likelyFile); c.Config == "" && err == nil {
		return fmt.Errorf("%[1]s in this folder is not read, and a key for dev mode is no key for its server: add --config %[1]s\n(for dev mode itself run this in another folder)", likelyFile)
	}
	return nil
}

// likelyFile is what the guides call the configuration. It is not read unasked: a file that happens to be there must not
// decide which database a command changes. But whoever has it and forgot to name it is told.
const likelyFile = "countersign.yaml"
