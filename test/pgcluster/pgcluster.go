//go:build unix

// Package pgcluster makes throw-away PostgreSQL clusters for tests: real server processes in a temporary folder,
// reachable through a private unix socket only, with fsync on, gone with the process that made them however it ends.
// It refuses to use a cluster somebody works with, unless COUNTERSIGN_TEST_POSTGRES names it.
package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser owns every cluster made here.
const superuser = "countersign"

// Cluster is a running PostgreSQL server of our own.
type Cluster struct {
	dir  string // holds data/, s/ (the socket) and log; removed by the watcher
	bin  programs
	user owner

	watcher *exec.Cmd
	leash   io.Closer // the watcher lives until this is closed, by us or by our death
}

// Setting is one line of postgresql.conf.
type Setting struct{ name, value string }

// Set returns a setting for Start, such as Set("synchronous_commit", "off").
func Set(name, value string) Setting { return Setting{name, value} }

// Start makes a cluster and waits until it answers. Stop it; should the process die first, the cluster goes with it.
func Start(ctx context.Context, settings ...Setting) (*Cluster, error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := temporaryDir(user)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, user: user}
	if err := c.watch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.create(ctx, settings); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	if err := c.control(ctx, "start", "-l", c.path("log")); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// create fills the data directory. What initdb writes needs no fsync of its own: nobody keeps it over a power cut.
func (c *Cluster) create(ctx context.Context, settings []Setting) error {
	data := c.path("data")
	out, err := c.command(ctx, c.bin.initdb, "-D", data, "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync",
		"--auth-local=trust", "--auth-host=reject").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	all := append([]Setting{
		{"listen_addresses", ""},
		{"unix_socket_directories", c.path("s")},
		{"unix_socket_permissions", "0700"},
		{"fsync", "on"},
		{"max_connections", "200"},
		{"timezone", "UTC"},
	}, settings...)
	var conf strings.Builder
	for _, s := range all {
		fmt.Fprintf(&conf, "%s = '%s'\n", s.name, strings.ReplaceAll(s.value, "'", "''"))
	}
	return appendFile(filepath.Join(data, "postgresql.conf"), conf.String())
}

// URL returns the address of a database of the cluster, for pgx; "" is the one that always exists.
func (c *Cluster) URL(database string) string {
	if database == "" {
		database = "postgres"
	}
	query := url.Values{"host": {c.path("s")}, "sslmode": {"disable"}}
	return "postgres://" + superuser + "@/" + url.PathEscape(database) + "?" + query.Encode()
}

// CreateDatabase makes an empty database and returns its URL.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) (string, error) {
	if err := execute(ctx, c.URL(""), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return c.URL(name), nil
}

// Kill stops every server process at once: no checkpoint, no flush, connections cut. What was not on disk is lost,
// and the next Restart recovers from the WAL.
func (c *Cluster) Kill() error {
	return c.control(context.Background(), "stop", "-m", "immediate")
}

// Restart starts a stopped or killed server, or restarts a running one, and waits until it answers.
func (c *Cluster) Restart(ctx context.Context) error {
	return c.control(ctx, "restart", "-m", "fast", "-l", c.path("log"))
}

// Stop ends the server and removes everything. A second call does nothing.
func (c *Cluster) Stop() error {
	if c.watcher == nil {
		return nil
	}
	err := errors.Join(c.leash.Close(), c.watcher.Wait())
	c.watcher = nil
	return err
}

// watch starts a shell that waits for its standard input to end and then clears everything away. Its own process
// group keeps it out of reach of the terminal's ^C.
func (c *Cluster) watch() error {
	const script = `cat >/dev/null; "$1" stop -s -D "$2/data" -m immediate 2>/dev/null; rm -rf "$2"`
	c.watcher = c.command(context.Background(), "/bin/sh", "-c", script, "sh", c.bin.pgctl, c.dir)
	leash, err := c.watcher.StdinPipe()
	if err != nil {
		return fmt.Errorf("watch the cluster: %w", err)
	}
	c.leash = leash
	if err := c.watcher.Start(); err != nil {
		return fmt.Errorf("watch the cluster: %w", err)
	}
	return nil
}

// control runs pg_ctl. Its output goes nowhere: the server would inherit a pipe and keep the reader waiting.
func (c *Cluster) control(ctx context.Context, verb string, args ...string) error {
	args = append([]string{verb, "-s", "-w", "-t", "60", "-D", c.path("data")}, args...)
	if err := c.command(ctx, c.bin.pgctl, args...).Run(); err != nil {
		log, _ := os.ReadFile(c.path("log"))
		return fmt.Errorf("pg_ctl %s: %w\n%s", verb, err, log[max(0, len(log)-2000):])
	}
	return nil
}

func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir // the caller's may be closed to the cluster's user
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGDATA=")
	cmd.SysProcAttr = c.user.process()
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

func appendFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
