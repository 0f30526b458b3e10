package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vanilla/model"
	"vanilla/model/export"
	"vanilla/model/zoo"
)

// writeStateDict writes what safetensors.torch.save_file writes for a
// torch.nn.Sequential with random parameters: names, shapes, values.
func writeStateDict(t *testing.T, path string, widths ...int) {
	t.Helper()
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header := map[string]any{}
	random := rand.New(rand.NewPCG(1, 2))
	var values []byte
	add := func(name string, shape ...int) {
		from, n := len(values), 1
		for _, d := range shape {
			n *= d
		}
		for range n {
			values = binary.LittleEndian.AppendUint32(values, math.Float32bits(float32(random.NormFloat64()/math.Sqrt(float64(widths[0])))))
		}
		header[name] = entry{"F32", shape, [2]int{from, len(values)}}
	}
	for k, in := range widths[:len(widths)-1] {
		add(fmt.Sprint(2*k, ".weight"), widths[k+1], in)
		add(fmt.Sprint(2*k, ".bias"), widths[k+1])
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	writeFile(t, path, append(append(file, text...), values...))
}

func TestExport(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range zoo.Names() {
		m, err := zoo.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range export.Formats() {
			want, err := f.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			path := name + f.Extension
			stdout := must(t, "export", name, "-o", path)
			if !strings.HasSuffix(stdout, "saved in "+path+"\n") || !bytes.Equal(read(t, path), want) {
				t.Errorf("%s: printed %q", path, stdout)
			}
		}
	}
}

// A state_dict is a network like any other once it is said what it is.
func TestStateDict(t *testing.T) {
	inData(t)
	must(t, tiny("--activation", "relu")...)
	m, err := model.Read("model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	// The same file without what vanilla wrote into it.
	file := read(t, "model.safetensors")
	size := binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	delete(header, "__metadata__")
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	plain := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	writeFile(t, "plain.safetensors", append(append(plain, text...), file[8+size:]...))

	flags := []string{"--activation", m.Activation, "--loss", m.Loss}
	for _, args := range [][]string{
		{"eval", "MODEL", "--data", "tiny", "--json"},
		{"predict", "MODEL", "--data", "tiny", "--json"},
		{"export", "MODEL", "-o", "x.json"},
	} {
		of := func(name string) []string {
			own := append([]string{}, args...)
			own[1] = name
			return own
		}
		want, got := must(t, of("model.safetensors")...), must(t, append(of("plain.safetensors"), flags...)...)
		if strings.ReplaceAll(got, "plain", "model") != want {
			t.Errorf("vanilla %q: found %.300q, want %.300q", args, got, want)
		}
		if _, stderr, code := vanilla(t, of("plain.safetensors")...); code != failed ||
			!strings.Contains(stderr, "plain.safetensors: this safetensors file was not written by vanilla") ||
			!strings.Contains(stderr, "--activation and --loss") {
			t.Errorf("vanilla %q: exit code %d, %s", args, code, stderr)
		}
	}
}

func TestExportWrongUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "file", []byte("no model"))
	wild, err := zoo.Open(zoo.Default)
	if err != nil {
		t.Fatal(err)
	}
	wild.Params[0].Data[0] = float32(math.Inf(1))
	if err := wild.Write("wild.safetensors"); err != nil {
		t.Fatal(err)
	}
	graph := model.Model{Recipe: json.RawMessage("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
	if err := graph.Write("graph.safetensors"); err != nil {
		t.Fatal(err)
	}
	before := listing(t)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"export"}, misuse, "want a model file"},
		{[]string{"export", "default", "lesson"}, misuse, `unexpected argument "lesson": want one model file`},
		{[]string{"export", "default"}, misuse, `--out "": want the name of a file that ends in one of .onnx, .npz, .json, .html`},
		{[]string{"export", "default", "-o", "x.pt"}, misuse, "--out x.pt: want the name of a file that ends in one of .onnx, .npz, .json, .html"},
		{[]string{"export", "default", "-o", "x.npz", "--data", "mnist"}, misuse, "--data mnist: only pages hold images"},
		{[]string{"export", "default", "-o", "x.html", "--data", "nowhere"}, failed, "--data nowhere: want mnist, a directory, or a .csv or .npz file"},
		{[]string{"export", "wild.safetensors", "-o", "x.html"}, failed, "wild.safetensors: parameter 0.weight: expected finite values"},
		{[]string{"export", "nowhere", "-o", "x.npz"}, failed, "nowhere: cannot be read"},
		{[]string{"export", "file", "-o", "x.npz"}, failed, "file: not a safetensors file"},
		{[]string{"export", "graph.safetensors", "-o", "x.npz"}, failed, "graph.safetensors: the network is not a chain of layers"},
		{[]string{"export", "wild.safetensors", "-o", "x.json"}, failed, "wild.safetensors: parameter 0.weight: expected finite values"},
		{[]string{"export", "default", "-o", filepath.Join("nowhere", "x.npz")}, failed, "cannot write to the directory nowhere"},
	} {
		stdout, stderr, code := vanilla(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("vanilla %q: exit code %d, %q and %q; want %d, one line with %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
	if after := listing(t); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("files were %q, now %q", before, after)
	}
	if code := run(t.Context(), []string{"export", "default", "-o", "x.npz"}, nil, brokenPipe{}, io.Discard); code != failed {
		t.Errorf("into a broken pipe: exit code %d", code)
	}
	if _, err := os.Stat("x.npz"); err != nil {
		t.Error(err)
	}
}
