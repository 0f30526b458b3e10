package model

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// onlyFiles fails if dir holds anything but the files named.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if strings.Join(found, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, found, want)
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	for _, m := range []*Model{chain(t, "3-2-2"), graph()} { // the second replaces the first
		if err := m.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(got, m); d != "" {
			t.Error(d)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, encode(t, m)) {
			t.Error("the file is not what Encode returns")
		}
		onlyFiles(t, dir, "a.safetensors")
	}
}

// A name may be as long as the file system takes: the temporary file's does not derive from it.
func TestWriteLongName(t *testing.T) {
	const longest = 255 // bytes, on common file systems
	const suffix = ".safetensors"
	name := strings.Repeat("n", longest-len(suffix)) + suffix
	dir := t.TempDir()
	if err := chain(t, "2-1").Write(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	onlyFiles(t, dir, name)
}

// A relative name without a folder is written where the process is.
func TestWriteHere(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := chain(t, "2-1").Write("a.safetensors"); err != nil {
		t.Fatal(err)
	}
	onlyFiles(t, ".", "a.safetensors")
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o755); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	broken := chain(t, "3-2")
	broken.Arch = "3-4"
	absent := filepath.Join(dir, "absent")
	for name, test := range map[string]struct {
		model *Model
		path  string
		want  string
		is    error
	}{
		"no name":            {chain(t, "3-2"), "", `expected the name of a file to write, found ""`, nil},
		"missing directory":  {chain(t, "3-2"), filepath.Join(absent, "m"), "cannot write to the directory " + absent, fs.ErrNotExist},
		"directory":          {chain(t, "3-2"), taken, taken + ": expected the name of a file to write, found a directory", nil},
		"file for directory": {chain(t, "3-2"), filepath.Join(plain, "m"), "cannot write to the directory " + plain, nil},
		"not to be encoded":  {broken, filepath.Join(dir, "m"), filepath.Join(dir, "m") + ": arch 3-4: expected parameter 0", nil},
		"no name of a file":  {chain(t, "3-2"), filepath.Join(dir, "m\x00"), "not written: ", nil},
	} {
		err := test.model.Write(test.path)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v\nwant %s", name, err, test.want)
		}
		if test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: got %v, which is not %v", name, err, test.is)
		}
	}
	onlyFiles(t, dir, "plain", "taken")
	onlyFiles(t, taken)
}

// What does not begin as a model does is not read.
func TestReadSparse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse.safetensors")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 3<<30); err != nil {
		t.Skip(err) // a file system that is too small for it
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(path)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; err == nil || !strings.Contains(err.Error(), "expected a header that is a JSON object") || allocated > 1<<20 {
		t.Errorf("allocated %d bytes, error %v", allocated, err)
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("PNG"), 0o644); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large") // without a single block on the disk
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFileBytes+1); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(dir, "absent")
	for path, want := range map[string]string{
		absent: ": cannot be read: ",
		dir:    ": expected a safetensors file, found a directory",
		text:   ": not a safetensors file: expected a header's length in the first 8 bytes, found 3 bytes in all",
		large:  ": expected a safetensors file of at most 4294967296 bytes, found 4294967297",
	} {
		m, err := Read(path)
		if err == nil || m != nil || !strings.HasPrefix(err.Error(), path+want) {
			t.Errorf("got %v\nwant %s", err, path+want)
		}
	}
	if _, err := Read(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, which is not %v", err, fs.ErrNotExist)
	}
}
