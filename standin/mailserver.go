package standin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
)

// MailServer is a mail server on loopback that delivers nothing and keeps everything: what a test reads the sign-in
// code from. It speaks SMTP (RFC 5321) with STARTTLS, under a certificate made in every run, and AUTH PLAIN.
//
// Its methods may be called from several goroutines.
type MailServer struct {
	listener net.Listener
	tls      *tls.Config
	roots    *x509.CertPool
	user     string
	password string
	implicit bool
	plain    bool
	open     sync.WaitGroup

	mu       sync.Mutex
	messages []Mail
	arrived  chan struct{} // closed and replaced at every arrival
	replies  map[string]string
	silent   bool
	conns    map[net.Conn]bool
	closed   bool
}

// A MailOption changes how a mail server is made.
type MailOption func(*MailServer)

// WithMailUser makes it take mail only from this user, after AUTH PLAIN.
func WithMailUser(name, password string) MailOption {
	return func(s *MailServer) { s.user, s.password = name, password }
}

// WithImplicitTLS makes it speak TLS from the first byte.
func WithImplicitTLS() MailOption { return func(s *MailServer) { s.implicit = true } }

// WithoutSTARTTLS makes it offer no TLS at all.
func WithoutSTARTTLS() MailOption { return func(s *MailServer) { s.plain = true } }

// NewMailServer makes a mail server and starts it on a free port.
func NewMailServer(options ...MailOption) (*MailServer, error) {
	s := &MailServer{arrived: make(chan struct{}), replies: map[string]string{}, conns: map[net.Conn]bool{}}
	for _, option := range options {
		option(s)
	}
	certificate, roots, err := loopbackCertificate()
	if err != nil {
		return nil, fmt.Errorf("stand-in mail server: %w", err)
	}
	s.tls, s.roots = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, roots
	if s.listener, err = listenLoopback("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("stand-in mail server: %w", err)
	}
	s.open.Go(s.accept)
	return s, nil
}

// Host is the address it listens on, which its certificate names.
func (s *MailServer) Host() string { return "127.0.0.1" }

// Port is the port it listens on.
func (s *MailServer) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// RootCAs are what a client must believe to believe its certificate.
func (s *MailServer) RootCAs() *x509.CertPool { return s.roots }

// Answer makes it answer a recipient with this reply in place of 250, such as "550 5.1.1 no such mailbox"; an empty
// reply ends that. Recipient "DATA" stands for the end of a message, "MAIL" for its sender.
func (s *MailServer) Answer(recipient, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[recipient] = reply
}

// FallSilent makes it accept connections and say nothing on them.
func (s *MailServer) FallSilent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

// Messages returns what it has taken, the oldest first.
func (s *MailServer) Messages() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Forget drops what it has taken, so that WaitFor waits for the next.
func (s *MailServer) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

// WaitFor returns the newest message to an address, as soon as there is one.
func (s *MailServer) WaitFor(ctx context.Context, to string) (Mail, error) {
	for {
		s.mu.Lock()
		arrived := s.arrived
		for _, m := range slices.Backward(s.messages) {
			if slices.Contains(m.To, to) {
				s.mu.Unlock()
				return m, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return Mail{}, fmt.Errorf("stand-in mail server: nothing came for %s: %w", to, ctx.Err())
		}
	}
}

// Close ends it and every connection to it.
func (s *MailServer) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.open.Wait()
}

func (s *MailServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if !s.enter(c) {
			_ = c.Close()
			return
		}
		s.open.Go(func() {
			defer s.leave(c)
			talk(s, c)
		})
	}
}

func (s *MailServer) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = true
	return !s.closed
}

func (s *MailServer) leave(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *MailServer) take(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// reply is what was set with Answer.
func (s *MailServer) reply(to string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replies[to]
	return r, r != ""
}

func (s *MailServer) isSilent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent
}

// knows tells whether this is the user WithMailUser named.
func (s *MailServer) knows(name, password string) bool {
	return s.user != "" && strings.EqualFold(name, s.user) && password == s.password
}
