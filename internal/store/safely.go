package store

import (
	"fmt"
	"runtime/debug"
)

// safely makes a panic an error. The lanes of the convoys and the writer of SQLite work for every request: a defect met
// on behalf of one must neither end them nor the process, and its callers are told 503.
func safely(act func() error) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("panic: %v\n%s", caught, debug.Stack())
		}
	}()
	return act()
}
