package harness

import (
	"fmt"
	"strings"

	"github.com/countersign/countersign/standin"
)

// Federation adds providers beside those of every world, each named like its kind. Clients still have to list them.
func Federation(kinds ...standin.Kind) Option {
	return func(o *options) { o.others = append(o.others, kinds...) }
}

// ProviderSecret is the server's secret at every provider.
const ProviderSecret = providerSecret

// AppID is who the server is at a provider of Federation, on the web; what a client lists as audiences is its own.
func AppID(kind standin.Kind) string { return "app-at-" + string(kind) }

func (w *World) provideOthers() {
	w.T.Helper()
	w.Others = map[standin.Kind]*standin.Provider{}
	for _, kind := range w.options.others {
		p, err := standin.NewProvider(kind, standin.WithClock(w.Clock.Now))
		if err != nil {
			w.T.Fatal(err)
		}
		w.T.Cleanup(p.Close)
		w.Others[kind] = p
	}
}

func (w *World) registerOthers() {
	w.T.Helper()
	for kind, p := range w.Others {
		app := standin.Application{
			ClientID: AppID(kind), Secret: providerSecret, RedirectURIs: []string{w.Issuer + "/federation/" + string(kind) + "/callback"},
		}
		if err := p.Register(app); err != nil {
			w.T.Fatal(err)
		}
	}
}

// othersYAML: a stand-in GitLab is an instance of its own, the others play in the provider's name.
func (w *World) othersYAML() string {
	var list strings.Builder
	for _, kind := range w.options.others {
		key, more := "standin", ""
		switch kind {
		case standin.GitLab:
			key = "issuer"
		case standin.LINE: // which gives addresses only where they are asked for
			more = ", scopes: [openid, profile, email]"
		default:
		}
		fmt.Fprintf(&list, "  - {name: %[1]s, type: %[1]s, client_id: %[2]s, client_secret_file: ./provider.secret, %[3]s: %[4]q%[5]s}\n",
			kind, AppID(kind), key, w.Others[kind].URL(), more)
	}
	return list.String()
}
