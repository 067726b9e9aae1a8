// Package archtest checks that arrows between the rooms only point down, over what `go list` says of every package.
// A new room fails here until the table below says what it may import.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/countersign/countersign"

// The floors of the house, from the ground up.
var (
	nouns    = rooms("internal/domain", "internal/oauth")
	tools    = rooms("internal/event", "internal/fetch", "internal/httpd", "internal/jose", "internal/keyring", "internal/keyset", "internal/mail", "internal/store")
	evidence = rooms("internal/accesstoken", "internal/clientmeta", "internal/dpop", "internal/passkey", "internal/upstream")
	rules    = rooms("internal/apikey", "internal/backchannel", "internal/bearer", "internal/clientauth", "internal/flow", "internal/grant", "internal/offer", "internal/registration", "internal/session", "internal/signin", "internal/token")
	doors    = rooms("internal/accounthttp", "internal/adminhttp", "internal/oauthhttp", "internal/pages")
	public   = rooms("client", "resource")
	// What needs no database, so that evidence and what app servers import may use it.
	storeless = all(nouns, rooms("internal/event", "internal/fetch", "internal/jose", "internal/keyset"))
)

// mayImport says of every room which others it may import, itself and nothing else aside. Folders below a room are
// part of it.
var mayImport = map[string][]string{
	"internal/domain": {},
	"internal/oauth":  {},

	"internal/event":   {},
	"internal/fetch":   nouns,
	"internal/jose":    {},
	"internal/keyset":  rooms("internal/jose"),
	"internal/store":   all(nouns, rooms("internal/event")),
	"internal/mail":    {},
	"internal/keyring": all(nouns, rooms("internal/event", "internal/jose", "internal/store")),
	"internal/httpd":   all(nouns, rooms("internal/event")),

	"internal/accesstoken": storeless,
	"internal/clientmeta":  storeless,
	"internal/dpop":        storeless,
	"internal/passkey":     storeless,
	"internal/upstream":    storeless,

	"internal/apikey":      all(nouns, tools, evidence),
	"internal/backchannel": all(nouns, tools, evidence, rooms("internal/token")),
	"internal/bearer":      all(nouns, tools, evidence, rooms("internal/token")),
	"internal/clientauth":  all(nouns, tools, evidence),
	"internal/session":     all(nouns, tools, evidence),
	"internal/signin":      all(nouns, tools, evidence, rooms("internal/session")),
	"internal/token":       all(nouns, tools, evidence, rooms("internal/session")),
	"internal/offer":       all(nouns, rooms("internal/jose")),
	"internal/grant":       all(nouns, tools, evidence, rooms("internal/clientauth", "internal/offer", "internal/session", "internal/signin", "internal/token")),
	"internal/flow":        all(nouns, tools, evidence, rooms("internal/clientauth", "internal/offer", "internal/session", "internal/signin", "internal/token")),

	"internal/registration": all(nouns, tools, evidence, rooms("internal/apikey", "internal/clientauth")),

	"internal/accounthttp": all(nouns, tools, evidence, rules),
	"internal/adminhttp":   all(nouns, tools, evidence, rules),
	"internal/oauthhttp":   all(nouns, tools, evidence, rules),
	"internal/pages":       all(nouns, tools, evidence, rules),

	"internal/config": all(nouns, rooms("internal/clientmeta", "internal/fetch", "internal/jose", "internal/keyring", "internal/upstream")),
	"internal/app":    all(nouns, tools, evidence, rules, doors, rooms("internal/config")),
	"internal/demo":   all(nouns, evidence, public, rooms("internal/app", "internal/config", "internal/jose", "standin")),

	"cmd/countersign": rooms("client", "internal/app", "internal/config", "internal/demo"),

	"client":   nouns,
	"resource": all(nouns, rooms("internal/accesstoken", "internal/dpop", "internal/jose")),
	"standin":  all(nouns, rooms("client", "internal/accesstoken", "internal/dpop", "internal/jose")),

	"internal/archtest": {},
	"spec":              {},
}

// anything lists the folders that may import every room: they are no part of the product.
var anything = rooms("bench", "examples", "test")

// onlyIn says which rooms alone import something from outside the module, or a loaded package of the standard library.
var onlyIn = map[string][]string{
	"database/sql":                    rooms("internal/store"),
	"github.com/jackc/pgx":            rooms("internal/store"),
	"modernc.org/sqlite":              rooms("internal/store"),
	"github.com/go-jose/go-jose":      rooms("internal/jose"),
	"github.com/alecthomas/kong":      rooms("cmd/countersign"),
	"go.yaml.in/yaml":                 rooms("internal/config"),
	"github.com/prometheus":           rooms("internal/app"),
	"github.com/go-webauthn/webauthn": rooms("internal/passkey"),
	"github.com/fxamacker/cbor":       rooms("internal/passkey", "standin"),
	"github.com/wneessen/go-mail":     rooms("internal/mail"),
	"github.com/chromedp":             {},
	"net/http/httptest":               {},
	"testing":                         {},
	"github.com/coreos/go-oidc":       {},
	"golang.org/x/oauth2":             {},
	"github.com/rogpeppe/go-internal": {},
	"pgregory.net/rapid":              {},
	"math/rand":                       rooms("internal/store", "standin"), // jitter and bad luck
}

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func TestArrowsOnlyPointDown(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		room, known := owner(path)
		if !known {
			t.Errorf("%s is a new room: say in this test what it may import, and in ARCHITECTURE.md what it is for", path)
			continue
		}
		for _, imported := range p.Imports {
			checkImport(t, path, room, imported)
		}
	}
}

func checkImport(t *testing.T, path, room, imported string) {
	t.Helper()
	if slices.Contains(anything, room) {
		return
	}
	if inner, ours := strings.CutPrefix(imported, module+"/"); ours {
		target, _ := owner(inner)
		if target != room && !slices.Contains(mayImport[room], target) {
			t.Errorf("%s imports %s", path, inner)
		}
		return
	}
	if slices.Contains(nouns, room) && strings.Contains(imported, ".") {
		t.Errorf("%s imports %s: nouns know the standard library only", path, imported)
	}
	for prefix, allowed := range onlyIn {
		if within(imported, prefix) && !slices.Contains(allowed, room) {
			t.Errorf("%s imports %s: only %v may", path, imported, allowed)
		}
	}
}

// The stand-ins sign in anybody as anybody: only the demo, the benchmark and tests know them.
func TestNothingInTheServerKnowsTheStandIns(t *testing.T) {
	may := all(anything, rooms("internal/demo", "standin"))
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		room, _ := owner(path)
		if slices.Contains(p.Imports, module+"/standin") && !slices.Contains(may, room) {
			t.Errorf("%s imports standin", path)
		}
	}
}

// Rules and evidence return values and errors: they see no request, and what they have to say goes to the event.
func TestRulesAndEvidenceNeitherAnswerNorLog(t *testing.T) {
	forbidden := []string{
		"http.ResponseWriter", "http.Request", "http.Handler",
		"slog.Debug", "slog.Info", "slog.Warn", "slog.Error", "slog.Default", "slog.Logger", "log.Print", "log.Printf", "log.Println",
	}
	for _, p := range packages(t) {
		room, _ := owner(strings.TrimPrefix(p.ImportPath, module+"/"))
		if !slices.Contains(all(rules, evidence), room) {
			continue
		}
		for _, file := range p.GoFiles {
			for _, used := range selectors(t, filepath.Join(p.Dir, file)) {
				if slices.Contains(forbidden, used) {
					t.Errorf("%s/%s uses %s", room, file, used)
				}
			}
		}
	}
}

// selectors lists every pkg.Name a file uses.
func selectors(t *testing.T, file string) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	ast.Inspect(tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok {
				list = append(list, pkg.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return list
}

// packages runs go list once over the module.
func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var list []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// owner finds the room a package belongs to: the longest known path it lies under.
func owner(path string) (room string, known bool) {
	for name := range mayImport {
		if within(path, name) && len(name) > len(room) {
			room = name
		}
	}
	for _, name := range anything {
		if within(path, name) && len(name) > len(room) {
			room = name
		}
	}
	return room, room != ""
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func rooms(names ...string) []string { return names }

func all(floors ...[]string) []string { return slices.Concat(floors...) }

// What a client is told is written in ASCII, for error_description allows nothing else (RFC 6749 §5.2): another sign would
// come out as a question mark.
func TestSentencesForClientsAreASCII(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		inWire := strings.HasSuffix(p.ImportPath, "/internal/oauth") || strings.HasSuffix(p.ImportPath, "/internal/clientmeta")
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !inWire && !makesError(call) {
					return true
				}
				for _, argument := range call.Args {
					ast.Inspect(argument, func(n ast.Node) bool {
						text, ok := n.(*ast.BasicLit)
						if ok && text.Kind == token.STRING {
							seen++
							if strings.ContainsFunc(text.Value, func(r rune) bool { return r > 0x7e }) {
								t.Errorf("%s/%s: %s", p.ImportPath, name, text.Value)
							}
						}
						return true
					})
				}
				return true
			})
		}
	}
	if seen < 100 {
		t.Errorf("only %d sentences were found", seen)
	}
}

// makesError tells whether a call is oauth.E.
func makesError(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "E" {
		return false
	}
	room, ok := f.X.(*ast.Ident)
	return ok && room.Name == "oauth"
}
