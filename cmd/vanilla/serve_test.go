package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// visiting visits the page as soon as its address is printed, and ends the server then.
type visiting struct {
	bytes.Buffer
	t      *testing.T
	cancel context.CancelFunc
	start  string // what the page began with
}

var address = regexp.MustCompile(`http://\S+/`)

func (v *visiting) Write(line []byte) (int, error) {
	if at := string(address.Find(line)); at != "" {
		go func() {
			defer v.cancel()
			for _, path := range []string{"", "api/start"} {
				answer, err := http.Get(at + path)
				if err != nil {
					v.t.Error(err)
					return
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != http.StatusOK {
					v.t.Errorf("%s%s: %s, %v", at, path, answer.Status, err)
				}
				v.start = string(body)
			}
		}()
	}
	return v.Buffer.Write(line)
}

// serveOnce runs a command line that serves the page, visits it, and returns what it began with.
func serveOnce(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &visiting{t: t, cancel: cancel}
	var stderr bytes.Buffer
	code := run(ctx, append(args, "--addr", "127.0.0.1:0"), strings.NewReader(""), stdout, &stderr)
	if code != done || !strings.HasPrefix(stdout.String(), "the page is at http://127.0.0.1:") || stdout.start == "" {
		t.Errorf("vanilla %q: exit code %d, %s%s", args, code, stdout, &stderr)
	}
	return stdout.start
}

func TestServe(t *testing.T) {
	inData(t)
	both := serveOnce(t, "serve")
	if !strings.Contains(both, `"name":"default"`) || !strings.Contains(both, `"name":"lesson"`) {
		t.Error("without a model the page does not show both networks that are built in")
	}
	must(t, tiny()...)
	own := serveOnce(t, "serve", "model.safetensors", "--data", "tiny")
	if !strings.Contains(own, `"arch":"16-5-3"`) || strings.Contains(own, `"name":"lesson","arch"`) || !strings.Contains(own, `"rows":4`) {
		t.Errorf("the page began with %.300s", own)
	}
}

func TestServeWrongUsage(t *testing.T) {
	inData(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--addr", taken.Addr().String()}, failed, ": something listens there already, perhaps another vanilla serve: end it, or want another address"},
		{[]string{"--addr", "here"}, misuse, "--addr here: want host:port, as in 127.0.0.1:8784"},
		{[]string{"--addr", "203.0.113.7:80"}, failed, "--addr 203.0.113.7:80: cannot listen there"},
		{[]string{"nowhere"}, failed, "nowhere"},
		{[]string{"--sweep", "nowhere"}, failed, "nowhere"},
		{[]string{"--data", "nowhere"}, failed, "--data nowhere: want mnist, a directory, or a .csv or .npz file"},
		{[]string{"--device", "tpu"}, misuse, "--device tpu: want auto"},
	} {
		stdout, stderr, code := vanilla(t, append([]string{"serve"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("vanilla serve %q: exit code %d, %q and %q; want %d, one line with %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}

// A page is written for networks of any size: with MNIST's images where they fit, with others where they are given.
func TestExportPage(t *testing.T) {
	inData(t)
	must(t, tiny()...)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"default"}, `"images":{"rows":28,"cols":28`},
		{[]string{"model.safetensors"}, `"images":null`},
		{[]string{"model.safetensors", "--data", "tiny"}, `"images":{"rows":4,"cols":4`},
	} {
		must(t, append([]string{"export", "-o", "demo.html"}, c.args...)...)
		if text := string(read(t, "demo.html")); !strings.HasPrefix(text, "<!doctype html>") || !strings.Contains(text, c.want) {
			t.Errorf("%q: there is no %s", c.args, c.want)
		}
	}
}
