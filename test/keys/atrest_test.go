package keys_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign/client"
	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
	"github.com/countersign/countersign/test/harness"
	"github.com/countersign/countersign/test/pgcluster"
)

// KL02, rfc6749-10.3-02, rfc6749-10.4-01, rfc6749-10.4-03, rfc7519-12-01: whoever gets hold of the database's files, its log or a backup can be nobody.
func TestKL02NothingAtRestIsASecretInTheClear(t *testing.T) {
	t.Parallel()
	for e, files := range map[harness.Engine]func(*testing.T) (*harness.World, func() []place){
		harness.SQLite: onSQLite, harness.Postgres: onPostgres,
	} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			w, read := files(t)
			s := &secrets{T: t}
			session := s.live(w)
			s.keep(w)
			for _, p := range read() {
				for _, name := range s.in(p.content) {
					t.Errorf("%s: %s stands there in the clear", p.name, name)
				}
				if !p.ofTheDatabase {
					continue
				}
				// What is there must be found, or the search proves nothing.
				known := &secrets{T: t}
				known.add("an address", []byte("pat@gmail.com"))
				known.add("the hash of a refresh token's secret", session[:])
				if found := known.in(p.content); len(found) != 2 {
					t.Errorf("%s: of what must be there only %q is found", p.name, found)
				}
			}
		})
	}
}

// live lets people sign in, refresh and sign out, services fetch tokens and an operator look, and remembers every
// secret of it. It returns the hash that the database keeps of a session's secret.
func (s *secrets) live(w *harness.World) (hash [32]byte) {
	s.Helper()
	pat := w.Phone("pat's phone")
	s.signIn(pat, w.GooglePrompt("pat"))
	for range 3 {
		s.tokens(pat.Refresh(s.Context()))
	}
	s.signIn(w.Phone("lee's old phone", harness.Bearer), w.GooglePrompt("lee"))
	apple := w.Phone("kim's phone")
	s.signIn(apple, w.ApplePrompt("kim"))
	gone := w.Phone("a phone that was lost", harness.Bearer)
	s.signIn(gone, w.GooglePrompt("max"))
	if err := gone.SignOut(s.Context()); err != nil {
		s.Error(err)
	}
	service := w.Post("/token", map[string][]string{"grant_type": {"client_credentials"}}, harness.Basic(harness.ServiceID, harness.ServiceSecret))
	s.token("a service's access token", service.String("access_token"))
	if !w.Active(service.String("access_token")) {
		s.Error("the service's token is not active")
	}
	s.add("an API key", []byte(w.APIKey()))
	if _, err := w.Admin().Accounts(s.Context(), client.Page{}); err != nil {
		s.Error(err)
	}
	s.appleGrant(w)
	return sha256.Sum256(refreshSecret(s.T, pat.RefreshToken()))
}

// signIn signs a person in and remembers what the provider's SDK handed out, the nonce, and what came back.
func (s *secrets) signIn(p *standin.Phone, prompt standin.Prompt) {
	s.Helper()
	s.tokens(p.SignIn(s.Context(), func(ctx context.Context, nonce string) (*standin.Credential, error) {
		c, err := prompt(ctx, nonce)
		if err != nil {
			return nil, err
		}
		s.add("a sign-in nonce", []byte(nonce))
		s.token("a provider's id_token", c.IDToken)
		if c.Code != "" {
			s.add("Apple's code", []byte(c.Code))
		}
		return c, nil
	}))
}

func (s *secrets) tokens(t *standin.Tokens, err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	s.add("a refresh token", []byte(t.RefreshToken))
	s.add("the secret in a refresh token", refreshSecret(s.T, t.RefreshToken))
	s.token("an access token", t.AccessToken)
	if t.IDToken != "" {
		s.token("an id_token", t.IDToken)
	}
}

// token remembers a JWT, whole and as the signature without which it is worth nothing.
func (s *secrets) token(name, jwt string) {
	s.Helper()
	at := strings.LastIndex(jwt, ".")
	if at < 0 {
		s.Fatalf("%s: %q is no JWT", name, jwt)
	}
	s.add(name, []byte(jwt))
	s.add("the signature of "+name, []byte(jwt[at+1:]))
}

// refreshSecret is the part of a refresh token that no key of the server's can make again.
func refreshSecret(t testing.TB, token string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "cs_rt_")[:76])
	if err != nil {
		t.Fatal(err)
	}
	return raw[25:41]
}

// appleGrant waits until Apple's code was redeemed and its refresh token stored.
func (s *secrets) appleGrant(w *harness.World) {
	s.Helper()
	db, look, late := w.Store(), time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer look.Stop()
	for {
		events, err := db.Events(s.Context(), domain.AccountID{}, domain.SessionID{}, 100)
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range events {
			if e.Action != "identity.grant" {
				continue
			}
			for _, token := range w.Apple.AppleRefreshTokens() {
				s.add("Apple's refresh token", []byte(token))
			}
			return
		}
		select {
		case <-look.C:
		case <-late:
			s.Fatal("waited in vain for Apple's grant")
		}
	}
}

// place is where somebody may look.
type place struct {
	name          string
	content       []byte
	ofTheDatabase bool // so that what the server stores must be found there
}

func servers(w *harness.World) place {
	return place{name: "the servers' log", content: []byte(w.Log.String())}
}

func onSQLite(t *testing.T) (*harness.World, func() []place) {
	w := harness.New(t, harness.SQLite)
	file := strings.TrimPrefix(w.Database, "sqlite:")
	return w, func() []place {
		live := files(t, filepath.Dir(file), func(name string) bool { return strings.HasPrefix(name, file) })
		if !bytes.Contains(live, []byte("SQLite format 3")) {
			t.Error("that is no database")
		}
		copied := filepath.Join(t.TempDir(), "backup.db")
		w.Exec("VACUUM INTO '" + copied + "'")
		w.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		return []place{
			servers(w),
			{"the file and its WAL", live, true},
			{"the file after a checkpoint", files(t, filepath.Dir(file), func(name string) bool { return name == file }), true},
			{"a backup", files(t, filepath.Dir(copied), func(name string) bool { return name == copied }), true},
		}
	}
}

// onPostgres has a cluster of its own: its files hold nothing but this test.
func onPostgres(t *testing.T) (*harness.World, func() []place) {
	c, err := pgcluster.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	address, err := c.CreateDatabase(t.Context(), "countersign")
	if err != nil {
		t.Fatal(err)
	}
	w := harness.New(t, harness.Postgres, harness.Database(address))
	return w, func() []place {
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		var data string
		if err := conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&data); err != nil {
			t.Fatal(err)
		}
		wal := files(t, filepath.Join(data, "pg_wal"), func(string) bool { return true })
		w.Exec("CHECKPOINT")
		return []place{
			servers(w),
			{"the WAL", wal, true},
			{"the data directory after a checkpoint", files(t, filepath.Join(data, "base"), func(string) bool { return true }), true},
			{"all else of the cluster, its log too", files(t, filepath.Dir(data), func(name string) bool {
				return !strings.HasPrefix(name, filepath.Join(data, "base")) && !strings.HasPrefix(name, filepath.Join(data, "pg_wal"))
			}), false},
			{"a dump", dump(t, conn), true},
		}
	}
}

// dump is every row of every table as pg_dump writes it.
func dump(t *testing.T, conn *pgx.Conn) []byte {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, table := range tables {
		if _, err := conn.PgConn().CopyTo(t.Context(), &out, "COPY "+table+" TO STDOUT"); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	return out.Bytes()
}

// files joins the chosen files below a folder, with a line between any two.
func files(t *testing.T, dir string, chosen func(name string) bool) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !chosen(name) {
			return err
		}
		text, err := os.ReadFile(name)
		all.Write(text)
		all.WriteByte('\n')
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}
