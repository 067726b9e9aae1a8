// Package start begins an example: it reads the client's secret, listens, says where, and names the next step where
// something is missing. It says nothing about signing in; a real app has its own.
package start

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// Secret reads a client's secret from a file that setup.sh makes.
func Secret(file string) (string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no %s: run sh examples/setup.sh from the repository's root, and this from there too", file)
	}
	return strings.TrimSpace(string(text)), err
}

// Explained adds the next step where Countersign did not answer.
func Explained(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w\nCountersign is not running: ./countersign serve --config examples/countersign.yaml comes first", err)
	}
	return err
}

// Serve says where it listens, and listens. elsewhere is what to do where the port is taken.
func Serve(addr string, h http.Handler, out io.Writer, elsewhere string) error {
	listener, err := net.Listen("tcp", addr) //nolint:noctx // for as long as the process lives
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken by another program: end that, or %s", addr, elsewhere)
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return server.Serve(listener)
}

// Exit ends the process with the error in plain words.
func Exit(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
