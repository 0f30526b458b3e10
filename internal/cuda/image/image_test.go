package image

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sources = "../../../kernels/cuda"

func stamp(t *testing.T) Stamp {
	t.Helper()
	text, err := os.ReadFile(StampFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseStamp(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != string(text) {
		t.Errorf("the stamp is\n%sread and written it is\n%s", text, s)
	}
	return s
}

// The compiled kernels belong to the sources. This needs no compiler.
func TestStamp(t *testing.T) {
	s := stamp(t)
	if s.Compiler == "" || !strings.Contains(s.Flags, "sm_75") {
		t.Errorf("the stamp lacks the compiler, %q, or its flags, %q", s.Compiler, s.Flags)
	}
	hash, err := Hash(sources)
	if err != nil {
		t.Fatal(err)
	}
	if hash != s.Sources {
		t.Errorf("the kernels were compiled from other sources: make kernels")
	}
	names, err := Kernels(sources)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range names {
		want = append(want, name+".fatbin")
	}
	if got := slices.Sorted(maps.Keys(s.Images)); !slices.Equal(got, want) {
		t.Errorf("the stamp has %v, want %v", got, want)
	}
	for file, want := range s.Images {
		if hash, err := HashFile(file); err != nil || hash != want {
			t.Errorf("%s is not what was compiled, err %v: make kernels", file, err)
		}
	}
}

// The table of resources has every kernel, for every architecture.
func TestResources(t *testing.T) {
	table, err := os.ReadFile(ResourcesFile)
	if err != nil {
		t.Fatal(err)
	}
	names, err := Kernels(sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(sources, name+".cu"))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(`).FindAllSubmatch(text, -1)
		if found == nil {
			t.Errorf("%s.cu has no kernel", name)
		}
		for _, kernel := range found {
			for _, arch := range []string{"sm_75", "sm_80", "sm_90a"} {
				if !regexp.MustCompile(`(?m)^` + string(kernel[1]) + ` +` + arch + `( +\d+){5}$`).Match(table) {
					t.Errorf("the table lacks %s for %s", kernel[1], arch)
				}
			}
		}
	}
}

// Any change of any source changes the hash.
func TestHash(t *testing.T) {
	write := func(dir, name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(files ...string) string {
		dir := t.TempDir()
		for i := 0; i < len(files); i += 2 {
			write(dir, files[i], files[i+1])
		}
		h, err := Hash(dir)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	base := hash("a.cu", "kernel", "b.cuh", "header")
	if again := hash("b.cuh", "header", "a.cu", "kernel", "c.go", "no source"); again != base {
		t.Error("the same sources have two hashes")
	}
	for _, other := range [][]string{
		{"a.cu", "kernel ", "b.cuh", "header"},
		{"a.cu", "kernel", "b.cuh", "headers"},
		{"a.cu", "kernel"},
		{"a.cu", "kernel", "c.cuh", "header"},
		{"a.cu", "kernel", "b.cuh", "header", "c.cu", ""},
		{"a.cu", "kerne", "b.cuh", "lheader"},
	} {
		if hash(other...) == base {
			t.Errorf("%q has the same hash", other)
		}
	}
}

func TestParseStamp(t *testing.T) {
	if _, err := ParseStamp("compiler: nvcc\nnonsense\n"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("nonsense: %v", err)
	}
}
