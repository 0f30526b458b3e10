package vanilla_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Another module can use the packages, with a network of its own: testdata/study
// is built outside of this one, from the modules that this one has, and run.
func TestOtherModule(t *testing.T) {
	if testing.Short() {
		t.Skip("links a program")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for to, from := range map[string]string{"main.go": "testdata/study/main.go", "go.sum": "go.sum", "go.mod": "go.mod"} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if to == "go.mod" {
			// The module needs what vanilla needs, and vanilla.
			text := strings.Replace(string(data), "module "+module, "module study", 1)
			data = fmt.Appendf(nil, "%s\nrequire %s v0.0.0\nreplace %s => %q\n", text, module, module, filepath.ToSlash(here))
		}
		if err := os.WriteFile(filepath.Join(dir, to), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "study.exe", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	want := `"784-16-16-10": 10000 images, as many right as in training: true, above 20 %: true; the first is a 7
"": 10000 images, as many right as in training: true, above 20 %: true; the first is a 7
`
	for _, executor := range []string{"fast", "tape"} {
		out, err := exec.Command(filepath.Join(dir, "study.exe"), executor, filepath.Join(dir, "m.safetensors")).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: the study printed %q, err %v; want %q", executor, out, err, want)
		}
	}
}

// readmeBlock matches code in the README that begins with a text.
func readmeBlock(t *testing.T, language, begins string) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```"+language+"\n"+begins)
	code, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("the README has no code that begins with %s", begins)
	}
	return begins + code
}

// What the README says of Go works as it is written, in a folder beside this one.
func TestReadmeInGo(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on MNIST")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	beside := t.TempDir()
	if err := os.Symlink(here, filepath.Join(beside, "vanilla")); err != nil {
		t.Skipf("no links here: %v", err)
	}
	dir := filepath.Join(beside, "study")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"main.go": readmeBlock(t, "go", "package main"), "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(readmeBlock(t, "", "go mod init") + "go build -o study.exe .\n") {
		words := strings.Fields(line)
		c := exec.Command(words[0], words[1:]...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOSUMDB=off") // the modules are those of go.sum
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.TrimSpace(line), err, out)
		}
	}
	out, err := exec.Command(filepath.Join(dir, "study.exe")).CombinedOutput()
	trained := regexp.MustCompile(`^in training: (9\d{3}) of 10000\nasked again: (9\d{3}) of 10000; the first one is a 7\n$`).FindSubmatch(out)
	if err != nil || trained == nil || string(trained[1]) != string(trained[2]) {
		t.Errorf("it printed %q, err %v", out, err)
	}
}
