package clients_test

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// These tests mostly wait, for a second process or for the interval between two polls, so twice as many run at once as
// there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
