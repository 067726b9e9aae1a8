package flow

// Places for requests that wait for somebody else's server: a mail server, providers, the servers of clients. Each has a
// room of its own, so that nobody is kept from signing in by a client whose server is silent.
const (
	mailRoom     = 16
	providerRoom = 64
	objectRoom   = 32
	objectShare  = 4 // of one client; of strangers also of one server and one address
)
