package standin_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/countersign/countersign/standin"
)

// A stand-in Google, and a real OpenID client that verifies what it signs.
func ExampleProvider() {
	google, err := standin.NewProvider(standin.Google)
	if err != nil {
		log.Fatal(err)
	}

	person := standin.Person{Subject: "1001", Email: "someone@gmail.example"}
	request := standin.GoogleAndroid("web.example", "android.example", person)
	request.Nonce = "from the challenge"
	credential, err := google.Issue(request)
	if err != nil {
		log.Fatal(err)
	}

	ctx := oidc.InsecureIssuerURLContext(context.Background(), standin.GoogleIssuer)
	client, err := oidc.NewProvider(ctx, google.URL())
	if err != nil {
		log.Fatal(err)
	}
	token, err := client.Verifier(&oidc.Config{ClientID: "web.example"}).Verify(ctx, credential.IDToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Issuer, token.Subject, token.Nonce)
	google.Close()
	// Output: https://accounts.google.com 1001 from the challenge
}

// Tokens that a back end must refuse.
func ExampleProvider_Issue() {
	apple, err := standin.NewProvider(standin.Apple)
	if err != nil {
		log.Fatal(err)
	}

	request := standin.AppleNative("com.example.todo", standin.Person{Subject: "000123.abc.0456"})
	request.Forgery = standin.HMACWithPublicKey
	request.Mutate = func(claims map[string]any) { claims["iss"] = "https://account.apple.com" }
	credential, err := apple.Issue(request)
	if err != nil {
		log.Fatal(err)
	}
	claims, err := standin.Claims(credential.IDToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(claims["iss"], claims["sub"])
	apple.Close()
	// Output: https://account.apple.com 000123.abc.0456
}

// The server answers, the answer is lost, and the test sees both sides.
func ExampleNetwork() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("done"))
	}))
	network, err := standin.NewNetwork()
	if err != nil {
		log.Fatal(err)
	}
	network.Observe(func(d standin.Delivery) { fmt.Printf("network: %s, the server answered %d\n", d.Fault, d.Status) })

	network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
	for range 2 {
		resp, err := network.Client().Post(server.URL+"/token", "text/plain", nil)
		if err != nil {
			fmt.Println("phone: no answer")
			continue
		}
		_ = resp.Body.Close()
		fmt.Println("phone:", resp.StatusCode)
	}
	network.Close()
	server.Close()
	// Output:
	// network: response lost, the server answered 200
	// phone: no answer
	// network: delivered, the server answered 200
	// phone: 200
}

// A phone without a network gives up for now, and stays signed in.
func ExamplePhone_Refresh() {
	network, err := standin.NewNetwork()
	if err != nil {
		log.Fatal(err)
	}
	phone, err := standin.NewPhone(standin.PhoneConfig{
		Issuer: "http://localhost:8080", ClientID: "com.example.todo", HTTPClient: network.Client(),
		// A test need not wait: it only counts what the phone would have waited.
		Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	if err != nil {
		log.Fatal(err)
	}
	phone.PlantRefreshToken("cs_rt_from_a_backup")

	network.Offline(true)
	_, err = phone.Refresh(context.Background())
	fmt.Println(errors.Is(err, standin.ErrUnreachable), phone.SignedIn())
	network.Close()
	// Output: true true
}

// The whole way, against a server on http://localhost:8080 whose configuration has
// `standin: http://127.0.0.1:9001` on its provider google.
func ExamplePhone() {
	ctx := context.Background()
	google, err := standin.NewProvider(standin.Google, standin.WithAddr("127.0.0.1:9001"))
	if err != nil {
		log.Fatal(err)
	}
	network, err := standin.NewNetwork()
	if err != nil {
		log.Fatal(err)
	}
	phone, err := standin.NewPhone(standin.PhoneConfig{
		Issuer: "http://localhost:8080", ClientID: "com.example.todo",
		Scope: "openid offline_access todos.read", DeviceName: "Someone's phone", HTTPClient: network.Client(),
	})
	if err != nil {
		log.Fatal(err)
	}

	person := standin.Person{Subject: "1001", Email: "someone@gmail.example"}
	if _, err := phone.SignIn(ctx, google.Prompt(standin.GoogleAndroid("web.example", "android.example", person))); err != nil {
		log.Fatal(err)
	}
	network.Next("/token", standin.Fault{Kind: standin.LoseResponse})
	if _, err := phone.Refresh(ctx); err != nil { // the answer is lost; the phone retries
		log.Fatal(err)
	}
	answer, err := phone.Call(ctx, http.MethodGet, "http://localhost:3000/todos", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Status)
	network.Close()
	google.Close()
}
