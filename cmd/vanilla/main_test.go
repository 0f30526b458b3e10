package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vanilla/dataset"
	"vanilla/internal/cuda/driver"
	"vanilla/kernels"
)

var update = flag.Bool("update", false, "write the golden files anew")

// atEnd removes what tests share.
var atEnd = func() {}

// TestMain lets a test run this binary as the command itself.
func TestMain(m *testing.M) {
	if os.Getenv("VANILLA_TEST_MAIN") != "" {
		main()
	}
	open := openExecutor
	openExecutor = func(device, executor, precision string) (kernels.Executor, error) {
		e, err := open(device, executor, precision)
		if err != nil {
			return nil, err
		}
		opened.Add(1)
		return &counted{Executor: e}, nil
	}
	code := m.Run()
	atEnd()
	if o, c := opened.Load(), closed.Load(); o != c {
		fmt.Printf("the tests opened %d executors and closed %d\n", o, c)
		code = 1
	}
	os.Exit(code)
}

// Executors that commands opened, and those of them that were closed.
var opened, closed atomic.Int64

// counted is an executor that counts how often it is closed.
type counted struct {
	kernels.Executor
	once sync.Once
}

func (e *counted) Close() error {
	e.once.Do(func() { closed.Add(1) })
	return e.Executor.Close()
}

// Whatever a command does with an executor, it opens one and closes it.
func TestExecutorsAreClosed(t *testing.T) {
	inData(t)
	before := opened.Load()
	for _, line := range [][]string{
		tiny(), tiny("--explain"), tiny("--explain", "--executor", "tape"), tiny("--history", "run", "--snapshots", "log"),
		{"eval", "model.safetensors", "--data", "tiny"}, {"predict", "model.safetensors", "--data", "tiny"},
		{"viz", "weights", "model.safetensors", "--data", "tiny", "--json"}, {"viz", "all", "model.safetensors", "--data", "tiny", "-o", "figures"},
		{"eval", "nothing.safetensors"},
	} {
		vanilla(t, line...)
		if o, c := opened.Load(), closed.Load(); o != before+1 || c != o {
			t.Errorf("vanilla %s: %d executors were opened, %d of all %d are closed", strings.Join(line, " "), o-before, c, o)
		}
		before = opened.Load()
	}
}

// vanilla runs a command line in this process.
func vanilla(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &err)
	return out.String(), err.String(), code
}

// must runs a command line that must succeed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := vanilla(t, args...)
	if code != done {
		t.Fatalf("vanilla %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// writeData writes a data set of size x size images in three classes that is
// learned in no time: class c has a bright row c.
func writeData(t *testing.T, dir string, size int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for name, n := range map[string]int{"train": 100, "t10k": 30} {
		set := dataset.Images{Rows: size, Cols: size}
		for i := range n {
			for p := range size * size {
				pixel := byte(random.IntN(60))
				if p/size == i%3 {
					pixel += 150
				}
				set.Pixels = append(set.Pixels, pixel)
			}
			set.Labels = append(set.Labels, byte(i%3))
		}
		writeImages(t, dir, name, &set)
	}
}

// writeFew writes MNIST's first n training and test images as a data set.
func writeFew(t *testing.T, dir string, n int) {
	t.Helper()
	data, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]*dataset.Images{"train": data.Train, "t10k": data.Test} {
		few := *set
		few.Pixels, few.Labels = set.Pixels[:n*set.Features()], set.Labels[:n]
		writeImages(t, dir, name, &few)
	}
}

// writeImages writes a set's two IDX files.
func writeImages(t *testing.T, dir, name string, set *dataset.Images) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	images, labels := binary.BigEndian.AppendUint32(nil, 0x803), binary.BigEndian.AppendUint32(nil, 0x801)
	for _, extent := range []int{set.Len(), set.Rows, set.Cols} {
		images = binary.BigEndian.AppendUint32(images, uint32(extent))
	}
	labels = binary.BigEndian.AppendUint32(labels, uint32(set.Len()))
	writeFile(t, filepath.Join(dir, name+"-images-idx3-ubyte"), append(images, set.Pixels...))
	writeFile(t, filepath.Join(dir, name+"-labels-idx1-ubyte"), append(labels, set.Labels...))
}

// inData changes to a new directory with the data set tiny, which tiny's flags
// fit.
func inData(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeData(t, "tiny", 4)
}

func tiny(more ...string) []string {
	return append([]string{"train", "--data", "tiny", "--arch", "16-5-3", "--batch", "8", "--epochs", "6"}, more...)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// keys are an object's keys in their order.
func keys(t *testing.T, object string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	var found []string
	for depth := 0; ; {
		token, err := d.Token()
		if err == io.EOF {
			return found
		} else if err != nil {
			t.Fatalf("%v in %s", err, object)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if key, ok := token.(string); ok && depth == 1 {
				found = append(found, key)
				var value json.RawMessage
				if err := d.Decode(&value); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, path)); got != want {
		t.Errorf("%s: go test -update writes it anew\nfound\n%s\nwant\n%s", path, got, want)
	}
}

// noGPU is why this machine has no hundred GPUs.
func noGPU() string {
	if err := driver.Available(); err != nil {
		return err.Error() + ": want cpu"
	}
	return "the last GPU of this machine is cuda:"
}
