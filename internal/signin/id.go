package signin

import "crypto/rand"

// newID returns a fresh id of any noun.
func newID[T ~[16]byte]() (id T) {
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return id
}
