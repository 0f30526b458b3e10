package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

type record struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value,omitempty"`
	Notes []string `json:"notes"`
}

func sample(name string) record {
	x := 0.125
	return record{name, &x, []string{`a "crc32c":"00000000" inside a text`, "ünïcode"}}
}

func encodeLine(t *testing.T, v any) []byte {
	t.Helper()
	line, err := AppendLine([]byte("the line before\n"), v)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimPrefix(line, []byte("the line before\n"))
}

// everyFlip calls check with each copy of data that differs from it in one bit.
func everyFlip(data []byte, check func(flipped []byte, bit int)) {
	for bit := range 8 * len(data) {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		check(flipped, bit)
	}
}

func same(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

func TestLine(t *testing.T) {
	line := encodeLine(t, sample("a"))
	if !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 {
		t.Errorf("found %q", line)
	}
	var found record
	if err := DecodeLine(line, &found); err != nil || !same(found, sample("a")) {
		t.Errorf("found %+v, %v", found, err)
	}
	// No flipped bit is taken for what was written. The end of the line belongs to the file.
	everyFlip(bytes.TrimSuffix(line, []byte("\n")), func(flipped []byte, bit int) {
		var found record
		if err := DecodeLine(flipped, &found); err == nil {
			t.Errorf("bit %d: read %q", bit, flipped)
		}
	})
	// Lines of earlier versions have no checksum.
	if err := DecodeLine([]byte(`{"name":"old","notes":null}`+"\n"), &found); err != nil || found.Name != "old" {
		t.Errorf("found %+v, %v", found, err)
	}
	for _, text := range []string{`{"name":"old","new":1}`, `{"name":"a"}{"name":"b"}`, `{}}`, `x`, ``} {
		if err := DecodeLine([]byte(text), new(record)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: found %v", text, err)
		}
	}
}

func TestObject(t *testing.T) {
	text, err := EncodeObject(sample("a"))
	if err != nil || !json.Valid(text) {
		t.Fatalf("found %s, %v", text, err)
	}
	var found record
	if err := DecodeObject(text, &found); err != nil || !same(found, sample("a")) {
		t.Errorf("found %+v, %v", found, err)
	}
	everyFlip(text, func(flipped []byte, bit int) {
		if err := DecodeObject(flipped, new(record)); !errors.Is(err, ErrDamaged) {
			t.Errorf("bit %d: read %q: %v", bit, flipped, err)
		}
	})
	old, err := json.MarshalIndent(sample("old"), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := DecodeObject(append(old, '\n'), &found); err != nil || found.Name != "old" {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestTensors(t *testing.T) {
	tensors := map[string]Tensor{"w": {[]int{2, 2}, []float32{1, -2, 3e38, 0}}, "s": {nil, []float32{5}}, "v": Vector([]float32{7, 8, 9})}
	for _, metadata := range []map[string]string{nil, {"kind": `a "crc32c":"00000000" inside`}} {
		data, err := EncodeTensors(tensors, metadata)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := EncodeTensors(tensors, metadata); err != nil || !bytes.Equal(again, data) {
			t.Errorf("equal tensors make other bytes, %v", err)
		}
		file, found, err := ParseTensors(data, len(data))
		if err != nil || !maps.Equal(found, metadata) || file.Len() != len(tensors) {
			t.Fatalf("found %v, %d tensors, %v", found, file.Len(), err)
		}
		for name, want := range tensors {
			view, ok := file.Tensor(name)
			if !ok || !slices.Equal(Values(view), want.Data) || len(view.Shape()) != len(want.Shape) {
				t.Errorf("%s: found %v", name, view)
			}
		}
		everyFlip(data, func(flipped []byte, bit int) {
			if _, _, err := ParseTensors(flipped, len(flipped)); err == nil {
				t.Errorf("bit %d is not missed", bit)
			}
		})
		if _, _, err := ParseTensors(data, 10); err == nil || !strings.Contains(err.Error(), "a header of at most 10 bytes") {
			t.Errorf("found %v", err)
		}
		// The same file, written to a directory.
		d := claim(t, t.TempDir())
		if err := d.ReplaceTensors("t", tensors, metadata); err != nil {
			t.Fatal(err)
		}
		if written, err := os.ReadFile(d.Path("t")); err != nil || !bytes.Equal(written, data) {
			t.Errorf("the file is not what EncodeTensors returns, %v", err)
		}
	}
}

func claim(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Claim(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return strings.Join(found, " ")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A disk that is full after half of the values leaves the old file as it was.
func TestReplaceFailsHalfway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m")
	write(t, path, "old")
	full := errors.New("no space left on device")
	err := Replace(path, func(w io.Writer) error {
		return errors.Join(text("half of the new")(w), full)
	})
	if !errors.Is(err, full) || !strings.HasPrefix(err.Error(), path+": not written: ") {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("the old file holds %q, %v", data, err)
	}
	if found := names(t, dir); found != "m" {
		t.Errorf("found %s", found)
	}
}

// What a killed process was writing is written over, and nothing else is touched.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	d := claim(t, dir)
	for _, name := range []string{".vanilla-a.tmp", ".vanilla-b.tmp", ".vanilla-0123456789abcdef.tmp", "below/.vanilla-a.tmp"} {
		write(t, filepath.Join(dir, name), "half of a longer file")
	}
	if err := d.Replace("a", text("new")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(d.Path("a")); err != nil || string(data) != "new" {
		t.Errorf("found %q, %v", data, err)
	}
	if err := d.RemoveUnfinished("b", "c"); err != nil {
		t.Fatal(err)
	}
	if found := names(t, dir); found != ".vanilla-0123456789abcdef.tmp a below lock" {
		t.Errorf("found %s", found)
	}
	if found := names(t, filepath.Join(dir, "below")); found != ".vanilla-a.tmp" {
		t.Errorf("found %s", found)
	}
}

func TestClaim(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := claim(t, dir)
	var claimed *ClaimedError
	if _, err := Claim(dir); !errors.As(err, &claimed) || !strings.HasPrefix(claimed.By, "process ") {
		t.Errorf("found %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	claim(t, dir)
}

// What belongs to a run or a sweep is replaced by its owner alone.
func TestOwner(t *testing.T) {
	top := t.TempDir()
	run, sweep, neither := filepath.Join(top, "run"), filepath.Join(top, "sweep"), filepath.Join(top, "neither")
	write(t, filepath.Join(run, "history.jsonl"), "")
	write(t, filepath.Join(run, "snapshots", "network-00001", "step-000000001.safetensors"), "")
	write(t, filepath.Join(sweep, "spec.json"), "")
	write(t, filepath.Join(sweep, "records.jsonl"), "")
	write(t, filepath.Join(sweep, "models", "0123.safetensors"), "")
	// Names that users may think of themselves.
	write(t, filepath.Join(neither, "spec.json"), "")
	write(t, filepath.Join(neither, "checkpoint.safetensors"), "")
	if a, b, c := Holds(run), Holds(sweep), Holds(neither); a != History || b != Sweep || c != nil {
		t.Errorf("found %v, %v, %v", a, b, c)
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink(sweep, link); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]string{
		filepath.Join(run, "history.jsonl"):                                             "the history of a run in ",
		filepath.Join(run, "checkpoint.safetensors"):                                    "the history of a run in ",
		filepath.Join(run, "lock"):                                                      "the history of a run in ",
		filepath.Join(run, "snapshots", "network-00001", "step-000000001.safetensors"):  "the history of a run in ",
		filepath.Join(run, "..", "run", ".", "snapshots", "step-000000007.safetensors"): "the history of a run in ",
		filepath.Join(sweep, "records.jsonl"):                                           "a sweep in ",
		filepath.Join(sweep, "models", "0123.safetensors"):                              "a sweep in ",
		filepath.Join(link, "spec.json"):                                                "a sweep in ",
		filepath.Join(run, "model.safetensors"):                                         "",
		filepath.Join(run, "snapshots", "mine.safetensors"):                             "",
		filepath.Join(sweep, "report.html"):                                             "",
		filepath.Join(neither, "spec.json"):                                             "",
		filepath.Join(neither, "checkpoint.safetensors"):                                "",
	} {
		before, _ := os.ReadFile(path)
		for _, err := range []error{Writable(path), Replace(path, text("new"))} {
			if want == "" && err != nil && !errors.Is(err, os.ErrNotExist) || want != "" && (err == nil || !strings.Contains(err.Error(), "belongs to "+want)) {
				t.Errorf("%s: found %v, want %q", path, err, want)
			}
		}
		if after, _ := os.ReadFile(path); want != "" && !bytes.Equal(before, after) {
			t.Errorf("%s holds %q", path, after)
		}
	}
	// Where the process stands does not matter.
	t.Chdir(filepath.Join(sweep, "models"))
	if err := Writable("0123.safetensors"); err == nil {
		t.Error("a sweep's model is written over from its own directory")
	}
}

// A directory that is not there is missed, even where the next name would lead out of it; a link leads where it leads.
func TestDirectoryOfPath(t *testing.T) {
	top := t.TempDir()
	if err := Writable(top + "/absent/../m"); err == nil || !strings.Contains(err.Error(), "cannot write to the directory") {
		t.Errorf("found %v", err)
	}
	far := filepath.Join(top, "far", "away")
	if err := os.MkdirAll(far, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(far, filepath.Join(top, "link")); err != nil {
		t.Skip(err)
	}
	if err := Replace(top+"/link/../m", text("new")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(top, "far", "m")); err != nil || string(data) != "new" {
		t.Errorf("found %q, %v", data, err)
	}
	write(t, filepath.Join(top, "far", "history.jsonl"), "")
	if err := Writable(top + "/link/../history.jsonl"); err == nil || !strings.Contains(err.Error(), "belongs to") {
		t.Errorf("found %v", err)
	}
}
