// Package vanilla_test holds what is true of the repository as a whole.
package vanilla_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "vanilla"

// imports lists for each package of the module what it imports of the module.
// Data flows one way, as ARCHITECTURE.md draws it. A new package gets a line here,
// which is the moment to think about where it stands. Tests may import more.
var imports = map[string][]string{
	"graph/ir": {"internal/words"},
	"graph":    {"graph/ir", "graph/fuse"},

	"graph/fuse":    {"graph/ir"},
	"graph/samples": {"graph", "graph/ir"},

	"kernels": {"graph/ir", "internal/words", "kernels/warp"},

	"kernels/warp": {},

	"kernels/ref":          {"graph/ir", "kernels"},
	"kernels/cpu":          {"graph/ir", "kernels"},
	"kernels/tape":         {"graph/ir", "kernels", "graph"},
	"internal/conformance": {"graph/ir", "kernels", "graph", "graph/samples", "kernels/ref", "mnist", "dataset"},
	"kernels/device":       {"graph/ir", "kernels", "kernels/ref", "kernels/cpu", "kernels/tape", "kernels/cuda", "internal/cuda/driver"},

	"kernels/cuda":                {"internal/store", "graph/ir", "kernels", "internal/cuda/driver", "internal/cuda/image"},
	"internal/cuda/driver":        {},
	"internal/cuda/image":         {},
	"internal/cuda/image/compile": {"internal/cuda/image"},
	"internal/cuda/standin":       {},
	"internal/cuda/standin/build": {"internal/cuda/standin"},

	"internal/sample":  {},
	"internal/words":   {},
	"internal/mapping": {"kernels"},
	"internal/claim":   {"kernels", "internal/store"},

	"internal/stripes": {"dataset"},

	"internal/memory": {},
	"internal/store":  {},

	"dataset": {"kernels", "internal/memory", "internal/store", "internal/words"},
	"mnist":   {"dataset"},
	"model":   {"graph/ir", "internal/memory", "internal/store", "internal/words"},

	"model/export": {"graph/ir", "model"},
	"model/zoo":    {"model"},

	"infer":         {"internal/memory", "graph/ir", "infer/quality", "kernels", "graph", "kernels/ref", "model", "dataset"},
	"infer/quality": {},

	"train": {"dataset", "graph/ir", "infer/quality", "kernels", "graph", "model", "internal/memory", "internal/store", "internal/claim", "internal/mapping", "internal/words"},

	"train/sweep": {"kernels", "graph", "model", "train", "internal/memory", "internal/store", "internal/claim", "internal/mapping", "internal/words", "internal/sample", "dataset"},

	"train/sweep/report": {"kernels", "model", "train", "train/sweep", "viz", "internal/words", "internal/sample"},

	"viz": {"dataset", "infer/quality", "model", "internal/memory", "internal/words"},

	"viz/page": {"dataset", "kernels", "graph", "model", "model/export", "train", "train/sweep", "train/sweep/report", "viz"},

	"bench/handrolled": {},
	"bench":            {"internal/store", "internal/words", "kernels", "graph", "kernels/device", "kernels/ref", "model", "train", "bench/handrolled", "internal/sample", "dataset"},

	"examples/lenet": {"graph", "kernels/device", "mnist", "train", "viz"},

	"cmd/vanilla": {"dataset", "internal/store", "kernels", "graph", "kernels/device", "infer", "infer/quality", "mnist", "model", "model/export", "model/zoo", "train", "train/sweep", "train/sweep/report", "viz", "viz/page", "bench", "internal/mapping", "internal/sample", "internal/words"},
}

// standardOnly are the packages that import nothing but the standard library.
var standardOnly = []string{"internal/memory", "graph/ir", "graph/fuse", "infer/quality", "kernels", "kernels/ref", "bench/handrolled"}

// gorgonians are the packages that may import Gorgonia and what belongs to it:
// graph lowers its graphs, tape runs them, the conformance suite writes some by
// hand, and driver stands on its binding of CUDA.
var gorgonians = []string{"graph", "graph/samples", "kernels/tape", "internal/conformance", "internal/cuda/driver", "examples/lenet"}

// listed is a package as go list describes it.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// violations lists the imports that break the rules.
func violations(packages []listed) []string {
	standard := map[string]bool{}
	for _, p := range packages {
		standard[p.ImportPath] = p.Standard
	}
	var found []string
	for _, p := range packages {
		name, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		allowed, known := imports[name]
		if !known {
			found = append(found, fmt.Sprintf("%s has no line in the list of imports", name))
			continue
		}
		for _, path := range p.Imports {
			imported, ours := strings.CutPrefix(path, module+"/")
			switch {
			case ours && !slices.Contains(allowed, imported):
				found = append(found, fmt.Sprintf("%s imports %s", name, imported))
			case !ours && !standard[path] && slices.Contains(standardOnly, name):
				found = append(found, fmt.Sprintf("%s imports %s, which is not in the standard library", name, path))
			case !ours && strings.HasPrefix(path, "gorgonia.org/") && !slices.Contains(gorgonians, name):
				found = append(found, fmt.Sprintf("%s imports %s", name, path))
			}
		}
	}
	return found
}

func TestImportDirection(t *testing.T) {
	// go test repeats a result as long as the files that the test itself looked
	// at are the same. It does not know what go list looks at.
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".go" {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	unused := map[string]bool{}
	for name, allowed := range imports {
		for _, imported := range allowed {
			unused[name+" "+imported] = true
		}
	}
	for _, tags := range []string{"", "cpu", "gpu"} {
		out, err := exec.Command("go", "list", "-deps", "-tags="+tags, "-json=ImportPath,Standard,Imports", "./...").Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				t.Fatalf("go list: %v: %s", err, exit.Stderr)
			}
			t.Fatal(err)
		}
		var packages []listed
		for d := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p listed
			if err := d.Decode(&p); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			packages = append(packages, p)
		}
		if len(packages) < len(imports) {
			t.Fatalf("go list found %d packages, the list of imports has %d", len(packages), len(imports))
		}
		for _, v := range violations(packages) {
			t.Errorf("tags %q: %s", tags, v)
		}
		for _, p := range packages {
			if name, ours := strings.CutPrefix(p.ImportPath, module+"/"); ours {
				for _, path := range p.Imports {
					delete(unused, name+" "+strings.TrimPrefix(path, module+"/"))
				}
			}
		}
	}
	for _, line := range slices.Sorted(maps.Keys(unused)) {
		t.Errorf("the list has an import that nobody makes: %s", strings.Replace(line, " ", " imports ", 1))
	}
}

// The picture in ARCHITECTURE.md: what stands right of an arrow imports something
// left of it, and all that stands left is imported by something right of it.
func TestPicture(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := 0
	for line := range strings.Lines(string(text)) {
		groups := strings.Split(strings.TrimSpace(line), "◀──")
		for i := 1; i < len(groups); i++ {
			left, right := packagesOf(groups[i-1]), packagesOf(groups[i])
			imported := map[string]bool{}
			for _, p := range right {
				drawn++
				some := false
				for _, q := range left {
					if slices.Contains(imports[p], q) {
						some, imported[q] = true, true
					}
				}
				if !some {
					t.Errorf("%s imports none of %v", p, left)
				}
			}
			for _, q := range left {
				if !imported[q] {
					t.Errorf("%s is imported by none of %v", q, right)
				}
			}
		}
	}
	if drawn < 10 {
		t.Errorf("found arrows to %d packages, want the picture", drawn)
	}
}

// packagesOf are the packages of a part of the picture.
func packagesOf(part string) []string {
	return strings.FieldsFunc(part, func(r rune) bool { return r == ' ' || r == ',' })
}

// Who imports vanilla does not get what drives a browser: internal/browser is a module
// of its own.
func TestBrowserApart(t *testing.T) {
	for file, want := range map[string]bool{"go.mod": false, "go.sum": false, "internal/browser/go.mod": true} {
		text, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(text), "github.com/chromedp/"); got != want {
			t.Errorf("%s names chromedp: %v, want %v", file, got, want)
		}
	}
}

// Each planted violation must be found.
func TestImportDirectionRules(t *testing.T) {
	for _, c := range []struct {
		name, imports, want string
	}{
		{"graph/ir", "vanilla/graph", "graph/ir imports graph"},
		{"graph/ir", "github.com/x/y", "graph/ir imports github.com/x/y, which is not in the standard library"},
		{"graph", "vanilla/kernels", "graph imports kernels"},
		{"kernels", "vanilla/kernels/ref", "kernels imports kernels/ref"},
		{"kernels/cpu", "vanilla/kernels/ref", "kernels/cpu imports kernels/ref"},
		{"kernels/tape", "vanilla/kernels/cpu", "kernels/tape imports kernels/cpu"},
		{"kernels/cpu", "gorgonia.org/tensor", "kernels/cpu imports gorgonia.org/tensor"},
		{"mnist", "vanilla/graph/ir", "mnist imports graph/ir"},
		{"train", "vanilla/mnist", "train imports mnist"},
		{"model", "vanilla/kernels", "model imports kernels"},
		{"train", "vanilla/cmd/vanilla", "train imports cmd/vanilla"},
		{"infer", "vanilla/train", "infer imports train"},
		{"kernels/tape", "vanilla/train", "kernels/tape imports train"},
		{"kernels/device", "vanilla/graph", "kernels/device imports graph"},
		{"train", "vanilla/bench/handrolled", "train imports bench/handrolled"},
		{"train", "gorgonia.org/gorgonia", "train imports gorgonia.org/gorgonia"},
		{"bench/handrolled", "vanilla/mnist", "bench/handrolled imports mnist"},
		{"util", "fmt", "util has no line in the list of imports"},
	} {
		got := violations([]listed{
			{ImportPath: "fmt", Standard: true},
			{ImportPath: "vanilla/" + c.name, Imports: []string{"fmt", c.imports}},
		})
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s importing %s: found %q, want %q", c.name, c.imports, got, c.want)
		}
	}
	allowed := []listed{
		{ImportPath: "fmt", Standard: true},
		{ImportPath: "vanilla/train", Imports: []string{"fmt", "vanilla/kernels", "vanilla/dataset"}},
		{ImportPath: "vanilla/graph", Imports: []string{"gorgonia.org/gorgonia", "vanilla/graph/ir"}},
	}
	if got := violations(allowed); got != nil {
		t.Errorf("allowed imports: found %q", got)
	}
}

// flag finds the command's flags in texts.
var flag = regexp.MustCompile("(?:[ :(]|\"|`)--[a-z][a-z-]*(?:[ ,;)]|\"|`)")

// speakers may name flags: commands, and what talks to them.
var speakers = []string{"cmd/", "bench/", "internal/cuda/image/compile/", "internal/cuda/standin/", "internal/browser/", "internal/cuda/driver/"}

// Packages speak of fields. The command alone turns them into flags.
func TestFlagsAreTheCommands(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		path = filepath.ToSlash(path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".":
			return fs.SkipDir
		}
		ours := filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") && strings.Contains(path, "/") && !strings.Contains(path, "testdata")
		if !ours || slices.ContainsFunc(speakers, func(s string) bool { return strings.HasPrefix(path, s) }) {
			return nil
		}
		for text, line := range stringsOf(t, path) {
			if flag.MatchString(" " + text) {
				t.Errorf("%s:%d: found a flag in %q: want the field", path, line, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stringsOf are a file's string constants and their lines.
func stringsOf(t *testing.T, path string) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			found[l.Value] = set.Position(l.Pos()).Line
		}
		return true
	})
	return found
}
