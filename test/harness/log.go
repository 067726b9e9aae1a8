package harness

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Log keeps what the nodes log.
type Log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

// Never makes the test fail if the log holds this text: a secret that has no form of its own, such as a cookie's.
func (l *Log) Never(secret string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, secret)
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// jwt finds what begins like a JWT; an id of ours may hold the same letters further on.
var jwt = regexp.MustCompile(`(^|[^A-Za-z0-9_-])eyJ`)

// check looks for what no log may hold (ATTACKS.md, the assertions of every row).
func (l *Log) check(t testing.TB) {
	t.Helper()
	nevers := append([]string{
		"panic", "goroutine ", "cs_rt_", "cs_sk_", "cs_ac_", "cs_dc_", WebSecret, PostSecret, ServiceSecret, ResourceSecret,
		OtherSecret, providerSecret,
	}, l.secrets...)
	for line := range strings.Lines(l.String()) {
		for _, never := range nevers {
			if strings.Contains(line, never) {
				t.Errorf("the log holds %q: %s", never, line)
			}
		}
		if jwt.MatchString(line) {
			t.Errorf("the log holds a JWT: %s", line)
		}
	}
}
