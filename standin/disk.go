package standin

import (
	"net/url"
	"slices"
	"sync"
)

// record is what the app keeps in storage.
type record struct {
	RefreshToken string
	Pending      url.Values // a sign-in that has no answer yet (C10)
	AppleUser    string     // comes once; kept until a sign-in has succeeded (C10)
	Revoke       []string   // refresh tokens that are to be revoked (C30)
}

// disk is the storage of a device. A write happens as a whole or not at all, and never for a dead process.
type disk struct {
	mu   sync.Mutex
	full bool
	r    record
}

func (d *disk) read() record {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.r
	r.Revoke = slices.Clone(r.Revoke)
	return r
}

func (d *disk) write(by *process, change func(*record)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by.dead() {
		return ErrKilled
	}
	if d.full {
		return ErrDiskFull
	}
	change(&d.r)
	return nil
}

func (d *disk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) plant(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.r.RefreshToken = token
}
