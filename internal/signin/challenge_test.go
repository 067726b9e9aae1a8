package signin

import "testing"

// ID08: the MAC of a nonce covers all that it is bound to, and needs our key.
func TestTheSumOfANonceDependsOnEverything(t *testing.T) {
	const client, jkt = "com.example.todo", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	key := []byte("a key of thirty-two bytes, tests")
	good := challenge{purpose: PurposeSignIn, bound: true, keyID: 7}
	for i := range good.body {
		good.body[i] = byte(i)
	}
	seen := map[[nonceMAC]byte]string{}
	differs := func(name string, c challenge, key []byte, client, jkt string) {
		t.Helper()
		mac := c.sum(key, client, jkt)
		if other, there := seen[mac]; there {
			t.Errorf("the sums of %q and %q are one", name, other)
		}
		seen[mac] = name
	}
	differs("the nonce", good, key, client, jkt)
	if again := good.sum(key, client, jkt); seen[again] != "the nonce" {
		t.Error("the sum of one nonce differs from time to time")
	}
	differs("another client", good, key, "com.example.notes", jkt)
	differs("no client", good, key, "", jkt)
	differs("another phone", good, key, client, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
	differs("no phone", good, key, client, "")
	differs("client and phone run together", good, key, client+jkt, "")
	for i := range key {
		other := append([]byte(nil), key...)
		other[i] ^= 1
		differs("another key", good, other, client, jkt)
	}
	for i := range good.body {
		other := good
		other.body[i] ^= 1
		differs("another body", other, key, client, jkt)
	}
	for _, p := range []Purpose{PurposeLink, PurposeReauth} {
		other := good
		other.purpose = p
		differs("purpose "+string(p), other, key, client, jkt)
	}
}
