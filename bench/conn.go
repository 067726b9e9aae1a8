package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection that spends as little of the machine as it can: the generator shares
// the cores with the server it measures. It understands answers with a Content-Length, which is all it needs.
type conn struct {
	c    net.Conn
	r    *bufio.Reader
	out  []byte
	body []byte
	host string
	to   []byte // the Location of the last answer, if it had one
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, r: bufio.NewReaderSize(c, 8<<10), host: addr}, nil
}

func (c *conn) close() { _ = c.c.Close() }

// header is one request header.
type header struct{ name, value string }

// post sends a form and returns status and body; the body is valid until the next call.
func (c *conn) post(host, path, form string, headers ...header) (int, []byte, error) {
	out := c.out[:0]
	out = append(out, "POST "...)
	out = append(out, path...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, host...)
	out = append(out, "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(form)), 10)
	for _, h := range headers {
		out = append(out, "\r\n"...)
		out = append(out, h.name...)
		out = append(out, ": "...)
		out = append(out, h.value...)
	}
	out = append(out, "\r\n\r\n"...)
	out = append(out, form...)
	c.out = out
	if err := c.c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err := c.c.Write(out); err != nil {
		return 0, nil, err
	}
	return c.read()
}

// get asks for a page and returns status and body; c.to is where it leads.
func (c *conn) get(host, path string, headers ...header) (int, []byte, error) {
	out := c.out[:0]
	out = append(out, "GET "...)
	out = append(out, path...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, host...)
	for _, h := range headers {
		out = append(out, "\r\n"...)
		out = append(out, h.name...)
		out = append(out, ": "...)
		out = append(out, h.value...)
	}
	out = append(out, "\r\n\r\n"...)
	c.out = out
	if err := c.c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err := c.c.Write(out); err != nil {
		return 0, nil, err
	}
	return c.read()
}

var (
	contentLength = []byte("Content-Length: ")
	location      = []byte("Location: ")
)

func (c *conn) read() (int, []byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, errors.New("no status line")
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, nil, fmt.Errorf("status line: %w", err)
	}
	length := -1
	c.to = c.to[:0]
	for {
		line, err = c.r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, location); ok {
			c.to = append(c.to, bytes.TrimSpace(v)...)
		}
		if v, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return 0, nil, fmt.Errorf("content length: %w", err)
			}
		}
	}
	if length < 0 {
		return 0, nil, errors.New("answer without Content-Length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length, 2*length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.r, c.body)
	return status, c.body, err
}

// member cuts a string member out of a JSON answer whose strings need no unescaping.
func member(body []byte, name string) (string, bool) {
	_, rest, ok := bytes.Cut(body, []byte(`"`+name+`":"`))
	if !ok {
		return "", false
	}
	v, _, ok := bytes.Cut(rest, []byte(`"`))
	return string(v), ok
}
