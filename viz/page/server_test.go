package page

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"vanilla/model/zoo"
)

// serve starts a server for a test, and ends it with the test.
func serve(t testing.TB, c Options) (address string) {
	t.Helper()
	if c.Trainer.Data == nil {
		c.Trainer = trains()
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s.trainer.abandoned = time.Hour // a test that looks away for long has not left
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// dial connects for as long as the test lasts.
func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// send sends a request as it is written and returns the answer.
func send(t testing.TB, address, request string) *http.Response {
	t.Helper()
	conn := dial(t, address)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	return answer
}

func TestServed(t *testing.T) {
	address := serve(t, Options{Networks: []Network{open(t, zoo.Default), open(t, zoo.Lesson)}, Images: NewSample(testImages(t), 10, nil)})
	for path, kind := range map[string]string{
		"/":                   "text/html; charset=utf-8",
		"/assets/app.js":      "text/javascript; charset=utf-8",
		"/assets/style.css":   "text/css; charset=utf-8",
		"/assets/palette.css": "text/css; charset=utf-8",
		"/api/start":          "application/json",
	} {
		answer, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != kind || len(body) == 0 {
			t.Errorf("%s: %v, %s, %s, %d bytes", path, err, answer.Status, answer.Header.Get("Content-Type"), len(body))
		}
		for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if path == "/api/start" {
			var s start
			if err := json.Unmarshal(body, &s); err != nil || len(s.Networks) != 2 || len(s.Images.Labels) != 10 {
				t.Errorf("the page begins with %.100s: %v", body, err)
			}
		}
	}
}

// What other sites, other programs and other machines may try is refused, and told apart from what the page does.
func TestRefused(t *testing.T) {
	address := serve(t, Options{Networks: []Network{open(t, zoo.Default)}, Host: "digits.example"})
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, headers ...string) string {
		return "GET " + path + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	}
	host := "Host: " + address
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"the address", get("/", host), 200},
		{"localhost", get("/", "Host: localhost:"+port), 200},
		{"IPv6", get("/", "Host: [::1]:"+port), 200},
		{"the name it was given", get("/", "Host: digits.example:"+port), 200},
		{"a name that was rebound", get("/", "Host: evil.example:"+port), 421},
		{"a name like the address", get("/", "Host: 127.0.0.1.evil.example:"+port), 421},
		{"no name", get("/", "Host: "), 421},
		{"own origin", get("/api/start", host, "Origin: http://"+address), 200},
		{"foreign origin", get("/api/start", host, "Origin: http://evil.example"), 403},
		{"no origin", get("/api/start", host, "Origin: null"), 403},
		{"foreign port", get("/api/start", host, "Origin: http://127.0.0.1:1"), 403},
		{"a script of another site", get("/api/start", host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403},
		{"a link of another site", get("/", host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), 200},
		{"the way up", get("/assets/../../server.go", host), 307},
		{"the way up, in code", get("/assets/%2e%2e%2fserver.go", host), 404},
		{"the way up, twice in code", get("/assets/..%252fserver.go", host), 404},
		{"backslashes", get(`/assets/..\..\server.go`, host), 404},
		{"another file of the disk", get("/etc/passwd", host), 404},
		{"an absolute name", get("/assets//etc/passwd", host), 307},
		{"a directory", get("/assets/", host), 404},
		{"the template", get("/assets/index.html", host), 404},
		{"a proxy's request", get("http://evil.example/", "Host: evil.example"), 421},
		{"another method", "DELETE / HTTP/1.1\r\n" + host + "\r\n\r\n", 405},
		{"a form", "POST /api/start HTTP/1.1\r\n" + host + "\r\nContent-Length: 3\r\n\r\na=b", 405},
		{"a gigabyte", "POST / HTTP/1.1\r\n" + host + "\r\nContent-Length: 1073741824\r\n\r\n{", 413},
		{"long headers", get("/", host, "X: "+strings.Repeat("x", 64<<10)), 431},
		{"no HTTP", "hello\r\n\r\n", 400},
	} {
		if answer := send(t, address, c.request); answer.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", c.name, answer.Status, c.status)
		}
	}
}

// goroutines waits until there are no more than there were, and fails if that does not come to be.
func goroutines(t testing.TB, before int) {
	t.Helper()
	const hang = 5 * time.Minute // no limit on slow or busy machines
	now := runtime.NumGoroutine()
	for begin := time.Now(); now > before && time.Since(begin) < hang; now = runtime.NumGoroutine() {
		time.Sleep(10 * time.Millisecond)
	}
	if now <= before {
		return
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("there were %d goroutines, now %d:\n%s", before, now, stacks[:runtime.Stack(stacks, true)])
}

// Hundreds of connections that say nothing keep nobody from the page, and end with it.
func TestIdleConnections(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("served", func(t *testing.T) {
		address := serve(t, Options{Networks: []Network{open(t, zoo.Default)}})
		for i := range 500 {
			conn := dial(t, address)
			if i%2 == 0 {
				fmt.Fprint(conn, "GET / HTTP/1.1\r\nHo") // and no end
			}
		}
		if answer := send(t, address, "GET / HTTP/1.1\r\nHost: "+address+"\r\n\r\n"); answer.StatusCode != http.StatusOK {
			t.Errorf("beside them the page answers %s", answer.Status)
		}
	})
	http.DefaultClient.CloseIdleConnections()
	goroutines(t, before)
}
