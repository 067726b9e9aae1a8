package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
)

// A ceiling is a bare net/http handler that does the same signatures and verifications as an endpoint of ours, with
// the standard library's primitives and nothing else: no form rules, no client, no session, no log. It runs as a
// process of its own, so that it and the server it is held against have the same share of the machine.
type ceiling struct {
	key  *ecdsa.PrivateKey
	idp  *rsa.PublicKey   // signs the id_tokens of the sign-in run
	bank *ecdsa.PublicKey // signs the assertions of clients with high stakes
	row  *sql.Stmt        // reads one row by id, for introspection
	trip *sql.Stmt        // inserts one row of the width of a trip's
	poll *sql.Stmt        // updates one row
	keys sync.Map         // DPoP header segment -> *ecdsa.PublicKey
}

// serveCeiling is the process behind `bench ceiling`. It prints its address and serves until its input closes.
func serveCeiling(engineURL, idpKey, bankKey string) error {
	der, err := base64.StdEncoding.DecodeString(idpKey)
	if err != nil {
		return err
	}
	idp, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return err
	}
	bank, err := readBankKey(bankKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &ceiling{key: key, idp: idp, bank: bank}
	e, err := openEngine(engineURL)
	if err != nil {
		return err
	}
	defer e.close()
	if c.row, err = e.db.Prepare(`SELECT counter FROM bench_rows WHERE id = $1`); err != nil {
		return err
	}
	if c.trip, err = e.db.Prepare(`INSERT INTO bench_trips (id, filler) VALUES ($1, $2)`); err != nil {
		return err
	}
	if c.poll, err = e.db.Prepare(updateOne); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sign", c.sign)
	mux.HandleFunc("POST /sign-two", c.signTwo)
	mux.HandleFunc("GET /trip", c.authorize)
	mux.HandleFunc("GET /page", c.page)
	mux.HandleFunc("POST /poll", c.polled)
	mux.HandleFunc("POST /proof-sign", c.proofSign)
	mux.HandleFunc("POST /sign-in", c.signIn)
	mux.HandleFunc("POST /introspect", c.introspect)
	mux.HandleFunc("POST /par", c.pushed)
	mux.HandleFunc("GET /redirect", c.redirect)
	mux.HandleFunc("POST /assert-proof-sign", func(w http.ResponseWriter, r *http.Request) { c.assured(w, r, 1) })
	mux.HandleFunc("POST /assert-proof-sign-two", func(w http.ResponseWriter, r *http.Request) { c.assured(w, r, 2) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	srv := &http.Server{Handler: mux}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Shutdown(context.Background())
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// claims is a payload of the length of our access tokens'.
var claims = []byte(`{"iss":"http://localhost:8080","sub":"acc_AAAAAAAAAAAAAAAAAAAAAA","aud":"https://api.example.com",` +
	`"client_id":"com.example.todo","exp":1700000600,"iat":1700000000,"jti":"AAAAAAAAAAAAAAAAAAAAAA",` +
	`"scope":"openid offline_access todos.read","sid":"ses_AAAAAAAAAAAAAAAAAAAAAA"}`)

const joseHeader = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImFhYWFhYWFhIn0"

func (c *ceiling) mint() (string, error) {
	input := joseHeader + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, c.key, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// answer mints n tokens and writes them.
func (c *ceiling) answer(w http.ResponseWriter, n int) {
	out := map[string]any{"token_type": "Bearer", "expires_in": 300}
	for i := range n {
		t, err := c.mint()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		out[[...]string{"access_token", "id_token"}[i]] = t
	}
	writeJSON(w, out)
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (c *ceiling) sign(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	c.answer(w, 1)
}

func (c *ceiling) proofSign(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if !c.proofHolds(r.Header.Get("DPoP")) {
		http.Error(w, "bad proof", http.StatusBadRequest)
		return
	}
	c.answer(w, 1)
}

func (c *ceiling) signIn(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !c.proofHolds(r.Header.Get("DPoP")) || !c.idTokenHolds(formValue(string(body), "subject_token")) {
		http.Error(w, "bad sign-in", http.StatusBadRequest)
		return
	}
	c.answer(w, 2)
}

func (c *ceiling) introspect(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	input, sig, ok := splitToken(formValue(string(body), "token"))
	if err != nil || !ok || !verifyES256(&c.key.PublicKey, input, sig) {
		http.Error(w, "bad token", http.StatusBadRequest)
		return
	}
	var counter int64
	id := make([]byte, 16)
	id[0] = sig[0] % benchRows
	if err := c.row.QueryRowContext(r.Context(), id).Scan(&counter); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]any{
		"active": true, "counter": counter, "sub": "acc_AAAAAAAAAAAAAAAAAAAAAA", "client_id": "com.example.todo",
		"scope": "openid offline_access todos.read", "aud": "https://api.example.com", "iss": "http://localhost:8080",
	})
}

// signTwo is a code that became an access token and an ID token.
func (c *ceiling) signTwo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	c.answer(w, 2)
}

func readBankKey(text string) (*ecdsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	bank, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("the client's key is not on a curve")
	}
	return bank, nil
}

// asserted tells whether a form's client assertion holds.
func (c *ceiling) asserted(r *http.Request) bool {
	body, err := io.ReadAll(r.Body)
	input, sig, ok := splitToken(formValue(string(body), "client_assertion"))
	return err == nil && ok && verifyES256(c.bank, input, sig)
}

// assured is a token request of a client that signs: an assertion, a proof, and n tokens.
func (c *ceiling) assured(w http.ResponseWriter, r *http.Request, n int) {
	if !c.asserted(r) || !c.proofHolds(r.Header.Get("DPoP")) {
		http.Error(w, "bad assertion or proof", http.StatusBadRequest)
		return
	}
	c.answer(w, n)
}

func (c *ceiling) pushed(w http.ResponseWriter, r *http.Request) {
	if !c.asserted(r) {
		http.Error(w, "bad assertion", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(`{"request_uri":"urn:ietf:params:oauth:request_uri:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","expires_in":60}`))
}

func (c *ceiling) redirect(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "https://bank.example/cb?code=x&state=0123456789abcdef")
	w.WriteHeader(http.StatusSeeOther)
}

// page reads one row and writes as much as the login page has.
func (c *ceiling) page(w http.ResponseWriter, r *http.Request) {
	var counter int64
	if err := c.row.QueryRowContext(r.Context(), make([]byte, 16)).Scan(&counter); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body := make([]byte, 4<<10)
	w.Header().Set("Content-Length", "4096")
	_, _ = w.Write(body)
}

// authorize is a browser that is signed in: one row is read, one is written with a commit of its own.
func (c *ceiling) authorize(w http.ResponseWriter, r *http.Request) {
	var id [16]byte
	_, _ = rand.Read(id[:])
	row := make([]byte, 16)
	row[0] = id[0] % benchRows
	var counter int64
	if err := c.row.QueryRowContext(r.Context(), row).Scan(&counter); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := c.trip.ExecContext(r.Context(), id[:], make([]byte, 600)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Location", "https://todo.example/cb?code="+base64.RawURLEncoding.EncodeToString(id[:])+"&state="+r.URL.Query().Get("state"))
	w.WriteHeader(http.StatusSeeOther)
}

// polled is a device that is told to wait: one row is changed.
func (c *ceiling) polled(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	id := make([]byte, 16)
	id[0] = hashOf(body)[0] % benchRows
	if _, err := c.poll.ExecContext(r.Context(), id, 1, 1); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]string{"error": "authorization_pending"})
}

func hashOf(body []byte) [32]byte { return sha256.Sum256(body) }

func formValue(body, name string) string {
	_, rest, _ := strings.Cut(body, name+"=")
	v, _, _ := strings.Cut(rest, "&")
	v, _ = url.QueryUnescape(v)
	return v
}

func splitToken(raw string) (input string, sig []byte, ok bool) {
	i := strings.LastIndexByte(raw, '.')
	if i < 0 {
		return "", nil, false
	}
	sig, err := base64.RawURLEncoding.DecodeString(raw[i+1:])
	return raw[:i], sig, err == nil
}

func verifyES256(key *ecdsa.PublicKey, input string, sig []byte) bool {
	if len(sig) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(input))
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

func (c *ceiling) idTokenHolds(raw string) bool {
	input, sig, ok := splitToken(raw)
	sum := sha256.Sum256([]byte(input))
	return ok && rsa.VerifyPKCS1v15(c.idp, crypto.SHA256, sum[:], sig) == nil
}

// proofHolds verifies a DPoP proof's signature with the key it carries, parsed once per key.
func (c *ceiling) proofHolds(raw string) bool {
	input, sig, ok := splitToken(raw)
	if !ok {
		return false
	}
	head, _, _ := strings.Cut(input, ".")
	if k, ok := c.keys.Load(head); ok {
		return verifyES256(k.(*ecdsa.PublicKey), input, sig)
	}
	data, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return false
	}
	var h struct{ JWK struct{ X, Y string } }
	if err := json.Unmarshal(data, &h); err != nil {
		return false
	}
	x, errX := base64.RawURLEncoding.DecodeString(h.JWK.X)
	y, errY := base64.RawURLEncoding.DecodeString(h.JWK.Y)
	if errX != nil || errY != nil {
		return false
	}
	k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	if err != nil {
		return false
	}
	c.keys.Store(head, k)
	return verifyES256(k, input, sig)
}
