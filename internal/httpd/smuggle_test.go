package httpd_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/httpd"
)

// PX04: a proxy in front that believed the Content-Length would take what follows the last chunk for the body, or for
// another person's request. It is answered to nobody.
func TestNothingIsReadAfterAChunkedBody(t *testing.T) {
	srv, log := serve(t, httpd.Options{})
	for name, length := range map[string]string{"with a Content-Length": "Content-Length: 3\r\n", "alone": ""} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			_, err = io.WriteString(conn, "POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: "+formType+"\r\n"+length+
				"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\nGET /thing/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
			if err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(conn) // to the end: the connection is closed
			if err != nil {
				t.Fatal(err)
			}
			if got := string(all); strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "Connection: close") || strings.Contains(got, "smuggled") {
				t.Errorf("%s", got)
			}
		})
	}
	for _, e := range log.all(t) {
		if e["route"] != "/form" {
			t.Errorf("another request was served: %v", e)
		}
	}
}
