// Package standin is a small world to test a back end in: stand-in identity providers, a virtual phone and a lossy
// network. They are real HTTP servers and clients on loopback with real key material, made anew in every run; nothing
// is mocked, and nothing leaves the machine.
//
//   - [Provider] signs id_tokens in the shapes of Google, Apple, Microsoft, Facebook, LINE, GitLab or any OpenID provider,
//     publishes its keys, rotates them, is slow or down when told, and mints every malformed token a verifier must
//     refuse. It also signs in people with a browser, as GitHub and Discord do too, on plain HTML forms.
//   - [Phone] is an app on a device that keeps the client contract (docs/client-contract.md) line by line: it signs
//     in, refreshes, calls app servers, manages the account and signs out, through lost answers, kills and reboots.
//     Its comments cite the rules by number (C1 to C34).
//   - [Authenticator] is a person's passkeys and the browser before them; it answers as it should, or as it should not.
//   - [MailServer] takes mail by SMTP, keeps it, and tells a test what came.
//   - [Network] lies between the two and loses, cuts, delays and repeats what it is told to.
//
// # Signing in with a browser
//
// [Provider.Register] makes an [Application] known; then the provider's page asks for a user name and nothing else. Any
// name will do: "alice" is somebody with the address alice@example.com, unless [Provider.AddPerson] said otherwise. The
// page works without script. For tests that drive a browser its elements are form#standin-login, input#username,
// button#standin-allow and button#standin-deny; where a POST leads back (Apple), form#standin-return and
// button#standin-continue; where a request is refused, p#standin-error. Whoever has signed in is remembered by a cookie,
// and passes without a form until prompt or max_age asks for one. Tests without a browser call [Provider.SignInAt].
// [Provider.Misbehave] makes the provider return what a relying party must refuse.
//
// The authorization server under test is told to believe a stand-in by `standin: URL` on a provider in its
// configuration, which it accepts only while everything about it is on loopback.
//
// The package refuses to listen or to forward anywhere but on loopback, and it is not for production: it signs
// whatever it is asked to.
package standin
