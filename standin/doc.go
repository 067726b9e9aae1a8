// Package standin is a small world to test a back end in: stand-in identity providers, a virtual phone and a lossy
// network. They are real HTTP servers and clients on loopback with real key material, made anew in every run; nothing
// is mocked, and nothing leaves the machine.
//
//   - [Provider] signs id_tokens in the shapes of Google, Apple or any OpenID provider, publishes its keys, rotates
//     them, is slow or down when told, and mints every malformed token a verifier must refuse.
//   - [Phone] is an app on a device that keeps the client contract (docs/client-contract.md) line by line: it signs
//     in, refreshes, calls app servers, manages the account and signs out, through lost answers, kills and reboots.
//     Its comments cite the rules by number (C1 to C34).
//   - [Network] lies between the two and loses, cuts, delays and repeats what it is told to.
//
// The authorization server under test is told to believe a stand-in by `standin: URL` on a provider in its
// configuration, which it accepts only while everything about it is on loopback.
//
// The package refuses to listen or to forward anywhere but on loopback, and it is not for production: it signs
// whatever it is asked to.
package standin
