package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
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

// unpacked is a committed fatbin.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(name + Packed)
	if err != nil {
		t.Fatal(err)
	}
	code, err := Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// entry is a part of a fatbin: machine code or PTX for an architecture.
type entry struct {
	ptx  bool
	arch int
	code []byte
}

// entries reads a fatbin: a header of 16 bytes, then of each part a header, whose
// length is at 4, with the part's length at 8 and its architecture at 28.
func entries(t *testing.T, fatbin []byte) (all []entry) {
	t.Helper()
	read := binary.LittleEndian
	if len(fatbin) < 16 || read.Uint32(fatbin) != 0xba55ed50 {
		t.Fatal("this is no fatbin")
	}
	for rest := fatbin[read.Uint16(fatbin[6:]):]; len(rest) > 0; {
		header, length := read.Uint32(rest[4:]), read.Uint64(rest[8:])
		all = append(all, entry{read.Uint16(rest) == 1, int(read.Uint32(rest[28:])), rest[header:][:length]})
		rest = rest[uint64(header)+length:]
	}
	return all
}

// What a driver cannot load is told by the ABI version in the ELF header. Drivers
// from 525 on, those of CUDA 12, know 7, and those that know Blackwell know 8 for it.
// Every image has code for all architectures, and PTX that the drivers of CUDA 12.8
// and newer compile.
func TestABI(t *testing.T) {
	names, err := Kernels(sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var found []string
		for _, e := range entries(t, unpacked(t, name)) {
			if e.ptx {
				version := regexp.MustCompile(`(?m)^\.version (\S+)$`).FindSubmatch(e.code)
				if version == nil || string(version[1]) != "8.7" {
					t.Errorf("%s: the PTX is of version %q", name, version)
				}
				found = append(found, fmt.Sprintf("PTX %d", e.arch))
				continue
			}
			if !bytes.HasPrefix(e.code, []byte("\x7fELF")) {
				t.Fatalf("%s: the code for sm_%d is no ELF file", name, e.arch)
			}
			found = append(found, fmt.Sprintf("sm_%d ABI %d", e.arch, e.code[8]))
		}
		want := []string{"sm_75 ABI 7", "sm_80 ABI 7", "sm_86 ABI 7", "sm_89 ABI 7", "sm_90 ABI 7", "sm_100 ABI 8", "sm_120 ABI 8", "PTX 90"}
		if !slices.Equal(found, want) {
			t.Errorf("%s has %q, want %q", name, found, want)
		}
	}
}

// What is committed is a fraction of the code.
func TestPack(t *testing.T) {
	code := bytes.Repeat([]byte("machine code "), 1000)
	packed, err := Pack(code)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Unpack(packed); err != nil || !bytes.Equal(again, code) || len(packed) > len(code)/10 {
		t.Errorf("%d bytes, packed %d, unpacked %d: %v", len(code), len(packed), len(again), err)
	}
	if _, err := Unpack(packed[:len(packed)-9]); err == nil {
		t.Error("half a file is unpacked")
	}
}

// The compiled kernels belong to the sources. This needs no compiler.
func TestStamp(t *testing.T) {
	s := stamp(t)
	if !strings.Contains(s.Compiler, "ptxas cuda_12.8") || !strings.Contains(s.Flags, "; sm_75 sm_80 sm_86 sm_89 sm_90 sm_100 sm_120; PTX compute_90") {
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
	for name, want := range s.Images {
		if got := HashBytes(unpacked(t, strings.TrimSuffix(name, ".fatbin"))); got != want {
			t.Errorf("%s is not what was compiled: make kernels", name)
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
			for _, arch := range []string{"sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"} {
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

// BenchmarkUnpack is what a process spends on an image.
func BenchmarkUnpack(b *testing.B) {
	names, err := Kernels(sources)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		b.Run("image="+name, func(b *testing.B) {
			packed, err := os.ReadFile(name + Packed)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				code, err := Unpack(packed)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(code)))
			}
		})
	}
}
