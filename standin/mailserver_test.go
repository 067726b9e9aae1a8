package standin_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/smtp"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/standin"
)

// A test waits for the code a server sends.
func ExampleMailServer() {
	server, err := standin.NewMailServer()
	if err != nil {
		log.Fatal(err)
	}

	at := net.JoinHostPort(server.Host(), strconv.Itoa(server.Port()))
	letter := "Subject: Your code\r\nContent-Type: text/plain\r\n\r\n123456\r\n"
	if err := send(at, "someone@mail.example", letter); err != nil {
		log.Fatal(err)
	}

	got, err := server.WaitFor(context.Background(), "someone@mail.example")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Subject(), strings.TrimSpace(got.Text()), got.TLS)
	server.Close()
	// Output: Your code 123456 false
}

// send speaks SMTP as Go's own client does, in plain text.
func send(at, to, letter string) error {
	c, err := smtp.Dial(at)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.Mail("robot@example.com"), c.Rcpt(to)); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(letter)); err != nil {
		return err
	}
	return errors.Join(w.Close(), c.Quit())
}

func TestAMailServerWaitsForWhatComesAndForgetsWhenTold(t *testing.T) {
	server, err := standin.NewMailServer()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at := net.JoinHostPort(server.Host(), strconv.Itoa(server.Port()))
	sent := make(chan error, 1)
	go func() { sent <- send(at, "someone@mail.example", "Subject: one\r\n\r\nx\r\n") }()
	got, err := server.WaitFor(t.Context(), "someone@mail.example")
	if err != nil || got.Subject() != "one" {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	server.Forget()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := server.WaitFor(over, "someone@mail.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := send(at, "someone@mail.example", "Subject: two\r\n\r\n..leading\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := server.Messages(); len(got) != 1 || got[0].Subject() != "two" {
		t.Errorf("%+v", got)
	}
}
