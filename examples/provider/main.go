// Command provider is Google and a company's OpenID provider for trying things out on one machine: the stand-ins of
// package standin on fixed ports, with their sign-in forms. Any user name will do. It knows one client, Countersign as
// examples/countersign.yaml declares it. It also signs id_tokens as an Android phone gets them from Google: type a nonce
// of /challenge, and it prints one.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/countersign/countersign/standin"
)

const (
	googleAddr = "127.0.0.1:9001"
	corpAddr   = "127.0.0.1:9002"

	secret    = "stand-in-secret" // also in provider.secret, which setup.sh writes; it protects nothing
	webID     = "1234-web.apps.googleusercontent.com"
	androidID = "1234-android.apps.googleusercontent.com"
)

func main() {
	issuer := flag.String("issuer", "http://localhost:8080", "where Countersign is")
	flag.Parse()
	if err := run(*issuer); err != nil {
		log.Fatal(err)
	}
}

func run(issuer string) error {
	google, err := start(standin.Google, googleAddr, webID, issuer+"/federation/google/callback")
	if err != nil {
		return err
	}
	defer google.Close()
	corp, err := start(standin.OIDC, corpAddr, "countersign", issuer+"/federation/corp/callback")
	if err != nil {
		return err
	}
	defer corp.Close()
	fmt.Fprintf(os.Stderr, "google at %s, corp at %s, until Ctrl-C.\nType a nonce for an id_token of Google's.\n", google.URL(), corp.URL())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go answer(os.Stdin, os.Stdout, google)
	<-ctx.Done()
	return nil
}

// start is a provider that knows Countersign.
func start(kind standin.Kind, addr, client, callback string) (*standin.Provider, error) {
	p, err := standin.NewProvider(kind, standin.WithAddr(addr))
	if err != nil {
		return nil, err
	}
	if err := p.Register(standin.Application{ClientID: client, Secret: secret, RedirectURIs: []string{callback}}); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// answer signs an id_token for every line.
func answer(nonces io.Reader, to io.Writer, google *standin.Provider) {
	for in := bufio.NewScanner(nonces); in.Scan(); {
		request := standin.GoogleAndroid(webID, androidID, google.PersonNamed("sam"))
		request.Nonce = strings.TrimSpace(in.Text())
		credential, err := google.Issue(request)
		if err != nil {
			log.Print(err)
			continue
		}
		_, _ = fmt.Fprintln(to, credential.IDToken)
	}
}
