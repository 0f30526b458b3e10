package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"vanilla/model/zoo"
)

func TestScreen(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ±1 \u00a0é→\n\t":         "plain, ±1 \u00a0é→\n\t",
		"\x1b]0;title\x07 \x1b[2J\x7f\r": `\u001b]0;title\u0007 \u001b[2J\u007f\u000d`,
		"\u009b2J \u0085":                `\u009b2J \u0085`,
		"\xc2\xc2\x9b":                   "\xc2" + `\u009b`,
	} {
		for _, size := range []int{1, 2, len(text)} { // of each write
			var b bytes.Buffer
			s := &screen{w: &b}
			for p := []byte(text); len(p) > 0; p = p[min(size, len(p)):] {
				if _, err := s.Write(p[:min(size, len(p))]); err != nil {
					t.Fatal(err)
				}
			}
			if b.String() != want {
				t.Errorf("%q by %d bytes is shown as %q, want %q", text, size, b.String(), want)
			}
		}
	}
}

// Files cannot speak to the terminal: a sweep's names, a model's activation, the name of an image.
func TestNoControlCharacters(t *testing.T) {
	inData(t)
	const evil = "\x1b]0;owned\x07\u009b2J"
	data := "data" + evil
	if err := os.Rename("tiny", data); err != nil {
		t.Skip(err) // a file system that has no such names
	}
	writeFile(t, "evil"+evil+".png", []byte("no image"))
	must(t, append(tinySweep("--out", "sweep"), "--data", data)...)
	m, err := zoo.Open(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	m.Activation = "relu" + evil
	if err := m.Write("evil.safetensors"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		append(tiny(), "--data", data),
		{"results", "sweep"},
		{"export", "evil.safetensors", "-o", "evil.npz"},
	} {
		stdout, stderr, _ := vanilla(t, args...)
		if strings.ContainsAny(stdout+stderr, "\x1b\x07\u009b") || !strings.Contains(stdout+stderr, `owned`) {
			t.Errorf("%q: printed %.300q and %.300q", args, stdout, stderr)
		}
	}
	for _, args := range [][]string{
		{"predict", "default", "evil" + evil + ".png"},
		{"eval", "no" + evil},
		{"train", "--data", "no" + evil},
		{"results", "no" + evil},
		{evil},
		{"train", "--" + evil},
	} {
		stdout, stderr, code := vanilla(t, args...)
		if code == done || strings.ContainsAny(stdout+stderr, "\x1b\x07\u009b") || !strings.Contains(stderr, `owned`) {
			t.Errorf("%q: exit code %d, printed %q and %q", args, code, stdout, stderr)
		}
	}
}

// No output of the program's own is changed by what guards the terminal.
func TestScreenLeavesCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if script := must(t, "completion", shell); strings.Contains(script, `\u00`) {
			t.Errorf("%s: a control character in the script", shell)
		}
	}
}
