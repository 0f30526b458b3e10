package vanilla_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
