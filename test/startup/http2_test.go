package startup_test

import (
	"bytes"
	"crypto/tls"
	bigendian "encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The frames of RFC 9113 §6 that these tests write or read by hand, as no well-behaved client would.
const (
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	frameGoAway       = 0x7
	frameContinuation = 0x9

	endStream, endHeaders = 0x1, 0x4

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 0}
	bigendian.BigEndian.PutUint32(head[5:], stream)
	return append(head, payload...)
}

// http2 is a raw connection on which HTTP/2 was agreed and begun. It fails the test if it lasts longer than a minute.
func http2(t *testing.T, a *authority, p *process) *tls.Conn {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{
		RootCAs: a.pool, ServerName: "localhost", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	}}
	dialed, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(p.public, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	conn := dialed.(*tls.Conn)
	t.Cleanup(func() { _ = conn.Close() })
	if agreed := conn.ConnectionState().NegotiatedProtocol; agreed != "h2" {
		t.Fatalf("agreed on %q", agreed)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append([]byte(preface), frame(frameSettings, 0, 0, nil)...)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func readFrame(r io.Reader) (kind byte, payload []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, payload)
	return head[3], payload, err
}

// DS02: a connection may have a hundred streams and headers of 16 kB, and is told so before it asks for anything.
func TestDS02HTTP2SaysItsBounds(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, _ := secured(t, a)
	kind, payload, err := readFrame(http2(t, a, p))
	if err != nil || kind != frameSettings || len(payload)%6 != 0 {
		t.Fatalf("frame %d of %d bytes, %v", kind, len(payload), err)
	}
	settings := map[uint16]uint32{}
	for ; len(payload) > 0; payload = payload[6:] {
		settings[bigendian.BigEndian.Uint16(payload)] = bigendian.BigEndian.Uint32(payload[2:])
	}
	const maxConcurrentStreams, maxHeaderListSize = 0x3, 0x6
	if settings[maxConcurrentStreams] != 100 {
		t.Errorf("MAX_CONCURRENT_STREAMS is %d", settings[maxConcurrentStreams])
	}
	if size := settings[maxHeaderListSize]; size < 16<<10 || size > 17<<10 {
		t.Errorf("MAX_HEADER_LIST_SIZE is %d", size)
	}
}

// DS02 (CVE-2023-45288): headers that never end are not read to the end.
func TestDS02EndlessHTTP2HeadersAreCutOff(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, _ := secured(t, a)
	conn := http2(t, a, p)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if kind, _, err := readFrame(conn); err != nil || kind == frameGoAway {
				return
			}
		}
	}()
	field := append([]byte{0x00, 1, 'a', 100}, bytes.Repeat([]byte("b"), 100)...) // RFC 7541 §6.2.2, and no end of them
	fields := bytes.Repeat(field, 150)
	next := frame(frameHeaders, endStream, 1, append(request("/health"), field...))
	for sent := 0; !over(ended); {
		if sent > 16<<20 {
			t.Fatalf("%d bytes of headers were taken", sent)
		}
		n, err := conn.Write(next)
		if sent += n; err != nil {
			break
		}
		next = frame(frameContinuation, 0, 1, fields)
	}
	serves(t, a, p)
}

func over(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// request is the header block of a GET, by RFC 7541's static table.
func request(path string) []byte {
	block := []byte{0x82, 0x87, 0x04, byte(len(path))}
	block = append(block, path...)
	block = append(block, 0x01, byte(len(issuerHost)))
	return append(block, issuerHost...)
}

// DS02 (CVE-2023-44487): whoever asks and takes it back, thousands of times, keeps nobody else waiting.
func TestDS02RapidResetsHoldUpNobody(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p, _ := secured(t, a)
	conn := http2(t, a, p)
	gone := make(chan struct{})
	go func() { defer close(gone); _, _ = io.Copy(io.Discard, conn) }()
	cancel := []byte{0, 0, 0, 8}
	for stream := uint32(1); stream < 2*20_000; {
		var batch []byte
		for range 500 {
			batch = append(batch, frame(frameHeaders, endStream|endHeaders, stream, request("/health"))...)
			batch = append(batch, frame(frameReset, 0, stream, cancel)...)
			stream += 2
		}
		if _, err := conn.Write(batch); err != nil {
			break // it was cut off, which is as well
		}
		serves(t, a, p)
	}
	_ = conn.Close()
	<-gone
	serves(t, a, p)
}

// serves fails the test if another client waits for its answer.
func serves(t *testing.T, a *authority, p *process) {
	t.Helper()
	began := time.Now()
	got, err := ask(t, a.trusting(t, tls.VersionTLS13), p.public)
	if took := time.Since(began); err != nil || got.status != http.StatusOK || took > 2*time.Second {
		t.Errorf("somebody else got %+v, %v after %v", got, err, took)
	}
}
