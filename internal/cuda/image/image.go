// Package image holds the compiled kernels: for each .cu file of kernels/cuda a
// fatbin, packed, with machine code for compute capabilities 7.5, 8.0, 8.6, 8.9, 9.0,
// 10.0 and 12.0, and PTX for newer ones. Drivers from 525 on load it for the GPUs
// that they know. The files are committed, so that building needs no CUDA compiler,
// and stamped with the compiler and a hash of the sources, so that they cannot drift
// from them. Command compile makes them (make kernels), and proves that they come
// out the same (make check-kernels).
package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// The files beside the fatbins.
const (
	StampFile     = "stamp.txt"
	ResourcesFile = "resources.txt"
)

// Packed is what the name of a fatbin's file ends with. Machine code for many GPUs
// repeats itself, a megabyte apart: zstd sees that, and unpacks three times as fast as
// gzip, which counts in every process.
const Packed = ".fatbin.zst"

// Pack makes a file's content of a fatbin.
func Pack(code []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(code, nil), w.Close()
}

// Unpack is the reverse of Pack.
func Unpack(packed []byte) ([]byte, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.DecodeAll(packed, nil)
}

// Stamp is what the kernels were compiled with and from.
type Stamp struct {
	Compiler string // nvcc, ptxas and their versions
	Flags    string
	Sources  string            // hash of the .cu and .cuh files, see Hash
	Images   map[string]string // hashes of the fatbins, unpacked
}

// String is the text of the stamp file.
func (s Stamp) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "compiler: %s\nflags: %s\nsources: %s\n", s.Compiler, s.Flags, s.Sources)
	for _, name := range slices.Sorted(maps.Keys(s.Images)) {
		fmt.Fprintf(&b, "%s: %s\n", name, s.Images[name])
	}
	return b.String()
}

// ParseStamp reads what String wrote.
func ParseStamp(text string) (Stamp, error) {
	s := Stamp{Images: map[string]string{}}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			return s, fmt.Errorf("stamp: %q: want a name, a colon and a value", line)
		}
		switch key {
		case "compiler":
			s.Compiler = value
		case "flags":
			s.Flags = value
		case "sources":
			s.Sources = value
		default:
			s.Images[key] = value
		}
	}
	return s, nil
}

// Kernels lists the .cu files of a directory, without the suffix, in order.
func Kernels(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.cu"))
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".cu")
	}
	return files, err
}

// Hash is the SHA-256, in hex, of a directory's .cu and .cuh files: of their names,
// lengths and bytes in order of the names.
func Hash(dir string) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".cu", ".cuh"}, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(h, "%s %d\n%s", path, len(text), text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// HashBytes is the SHA-256 of a fatbin, in hex.
func HashBytes(code []byte) string {
	sum := sha256.Sum256(code)
	return hex.EncodeToString(sum[:])
}
