package signin

// Reason says why an account cannot be changed as asked.
type Reason string

// The reasons.
const (
	NotFound        Reason = "not-found"        // not on this account, or nowhere at all: nobody learns which
	LinkedElsewhere Reason = "linked-elsewhere" // the identity signs in to another account
	LastIdentity    Reason = "last-identity"    // without it nobody could sign in any more
)

// Refusal is an answer about the account rather than about the request: 404 for NotFound, 409 otherwise.
type Refusal struct {
	Reason Reason
	Detail string // a sentence for the developer
}

func (r *Refusal) Error() string { return r.Detail }
