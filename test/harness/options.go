package harness

import (
	"crypto/x509"

	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/standin"
)

type options struct {
	nodes     int
	yaml      string            // more top-level configuration
	clients   string            // more clients
	resources string            // more resources
	files     map[string]string // beside the configuration
	keys      keyring.Options
	maxConns  int
	databases string
	secure    *secure // nil: plain http
	others    []standin.Kind
	roots     *x509.CertPool // nil: the system's
}

// Option changes a world.
type Option func(*options)

// Nodes makes a world of n servers on one database (PostgreSQL).
func Nodes(n int) Option { return func(o *options) { o.nodes = n } }

// YAML adds top-level configuration, such as "limits: {…}".
func YAML(text string) Option { return func(o *options) { o.yaml += "\n" + text } }

// Clients adds clients: list items of two spaces' indent.
func Clients(text string) Option { return func(o *options) { o.clients += text } }

// Resources adds resources: list items of two spaces' indent.
func Resources(text string) Option { return func(o *options) { o.resources += text } }

// File puts a file beside the configuration, which may name it.
func File(name, text string) Option {
	return func(o *options) {
		if o.files == nil {
			o.files = map[string]string{}
		}
		o.files[name] = text
	}
}

// Roots makes the servers trust the certificates of sites that a test serves documents from.
func Roots(pool *x509.CertPool) Option { return func(o *options) { o.roots = pool } }

// Keys sets the key schedule.
func Keys(k keyring.Options) Option { return func(o *options) { o.keys = k } }

// MaxConns bounds the pool of each node.
func MaxConns(n int) Option { return func(o *options) { o.maxConns = n } }

// Database uses this database instead of a fresh one.
func Database(url string) Option { return func(o *options) { o.databases = url } }
