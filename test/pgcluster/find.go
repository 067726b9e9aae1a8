//go:build unix

package pgcluster

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// ErrNoPostgres is returned where PostgreSQL is not installed.
var ErrNoPostgres = errors.New("no PostgreSQL here: initdb and pg_ctl are neither on PATH nor in the usual places; " +
	"`make deps` installs it")

type programs struct{ initdb, pgctl string }

// usualPlaces are where distributions keep the server's programs, which are seldom on PATH.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
	"/usr/local/opt/postgresql*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

func findPrograms() (programs, error) {
	initdb, err1 := exec.LookPath("initdb")
	pgctl, err2 := exec.LookPath("pg_ctl")
	if err1 == nil && err2 == nil {
		return programs{initdb, pgctl}, nil
	}
	for _, pattern := range usualPlaces {
		dirs, _ := filepath.Glob(pattern) // the pattern is a good one
		slices.SortFunc(dirs, newestFirst)
		for _, dir := range dirs {
			p := programs{filepath.Join(dir, "initdb"), filepath.Join(dir, "pg_ctl")}
			if executable(p.initdb) && executable(p.pgctl) {
				return p, nil
			}
		}
	}
	return programs{}, ErrNoPostgres
}

// newestFirst puts .../15/bin before .../9.6/bin: a longer path has the longer version number.
func newestFirst(a, b string) int {
	return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// owner is the user the server runs as. PostgreSQL refuses to run as root.
type owner struct{ credential *syscall.Credential }

func unprivileged() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return owner{}, fmt.Errorf("user %s: %w", name, err)
		}
		return owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return owner{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// process puts a program into its own process group, under the owner's name.
func (o owner) process() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: o.credential}
}

func (o owner) take(dir string) error {
	if o.credential == nil {
		return nil
	}
	return os.Chown(dir, int(o.credential.Uid), int(o.credential.Gid))
}

// temporaryDir makes the cluster's folder with s/ for the socket in it. A socket's path holds some 100 bytes at
// most, and every folder above must be open to the owner: a deep TMPDIR gives way to /tmp.
func temporaryDir(o owner) (string, error) {
	base := os.TempDir()
	if len(base) > 60 || o.credential != nil {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "countersign-pg-")
	if err != nil {
		return "", err
	}
	socket := filepath.Join(dir, "s")
	if err := errors.Join(os.Mkdir(socket, 0o700), o.take(socket), o.take(dir)); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}
