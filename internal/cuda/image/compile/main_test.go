package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/internal/cuda/image"
)

// words are what nvcc 13.0 prints with -Xptxas -v; the numbers are made up.
const words = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'train' for 'sm_80'
ptxas info    : Function properties for train
    24 bytes stack frame, 16 bytes spill stores, 32 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 1440 bytes smem, 392 bytes cmem[0]
ptxas info    : Compile time = 31.139 ms
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'evaluate' for 'sm_80'
ptxas info    : Function properties for evaluate
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 16 registers
`

func TestTable(t *testing.T) {
	rows, err := usages(words)
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(table(rows)), "kernel ")
	want := `   arch   registers  stack  spill_stores  spill_loads  static_shared
evaluate  sm_80  16         0      0             0            0
train     sm_80  128        24     16            32           1440
`
	if got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	for _, text := range []string{"", "warning\n", strings.ReplaceAll(words, "bytes stack frame", "")} {
		if rows, err := usages(text); err == nil {
			t.Errorf("%q: found %v", text, rows)
		}
	}
}

// Every kind of difference fails the check, and names the file.
func TestCompare(t *testing.T) {
	pack := func(code string) []byte {
		packed, err := image.Pack([]byte(code))
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	made := map[string][]byte{"a.fatbin.zst": pack("code"), "stamp.txt": []byte("stamp\n")}
	for _, c := range []struct {
		name   string
		change func(map[string][]byte)
		want   string
	}{
		{"nothing", func(map[string][]byte) {}, ""},
		{"code", func(m map[string][]byte) { m["a.fatbin.zst"] = pack("c0de") }, "a.fatbin.zst: other bytes"},
		{"stamp", func(m map[string][]byte) { m["stamp.txt"] = []byte("other\n") }, "stamp.txt: there is\nother\nwant\nstamp\n"},
		{"missing", func(m map[string][]byte) { delete(m, "a.fatbin.zst") }, "a.fatbin.zst: missing"},
		{"left over", func(m map[string][]byte) { m["b.fatbin.zst"] = nil }, "b.fatbin.zst: no .cu file"},
	} {
		dir := t.TempDir()
		there := maps.Clone(made)
		c.change(there)
		for name, content := range there {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		switch err := compare(made, dir); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNoCompiler(t *testing.T) {
	if err := run("nowhere/nvcc", "nowhere/ptxas", "../../../../kernels/cuda", "..", true); err == nil || !strings.Contains(err.Error(), "make cuda installs it") {
		t.Errorf("without nvcc: %v", err)
	}
}

// PTX is adapted to an older assembler: its version, and no hints that it does not
// know.
func TestAdapt(t *testing.T) {
	const text = "//\n.version 9.0\n.target sm_80\n\tld.u32 %r1, [x];\n\t.pragma \"used_bytes_mask 15\";\n\t.pragma \"nounroll\";\n"
	got, err := adapt([]byte(text))
	if want := "//\n.version 8.7\n.target sm_80\n\tld.u32 %r1, [x];\n\t.pragma \"nounroll\";\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := adapt([]byte(strings.Replace(text, "9.0", "9.1", 1))); err == nil || !strings.Contains(err.Error(), "version 9.0") {
		t.Errorf("PTX of another version: %v", err)
	}
}

// Where a second block of a resident kernel finds no shared memory, registers are
// not kept for it; other kernels keep them.
func TestTwoBlocks(t *testing.T) {
	entry := func(name, least string) string {
		return ".visible .entry " + name + "(\n\t.param .u64 " + name + "_param_0\n)\n.maxntid 256\n" + least + "{\n}\n"
	}
	const two = ".minnctapersm 2\n"
	text := entry("kernel_resident_bf16_0", two) + entry("kernel_network", two)
	want := entry("kernel_resident_bf16_0", "") + entry("kernel_network", two)
	if got := twoBlocks.ReplaceAllString(text, "$1"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
