package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"

	"vanilla/graph/ir"
	"vanilla/model"
)

// random returns a chain with random parameters.
func random(t testing.TB, arch, activation, loss string) *model.Model {
	t.Helper()
	widths, err := model.Widths(arch)
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{
		Arch: arch, Activation: activation, Loss: loss, Seed: 7, TestAccuracy: 0.5,
		Recipe: json.RawMessage(`{"epochs":40}`), Version: "1.2.3",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	values := func(n int) (v []float32) {
		for range n {
			v = append(v, float32(rng.NormFloat64()))
		}
		return v
	}
	for k, in := range widths[:len(widths)-1] {
		out := widths[k+1]
		m.Params = append(m.Params,
			model.Tensor{Name: "W", Shape: []int{out, in}, Data: values(out * in)},
			model.Tensor{Name: "b", Shape: []int{out}, Data: values(out)})
	}
	return m
}

// forward is the definition of what an exported network computes, in float64.
func forward(t *testing.T, m *model.Model, x []float64) []float64 {
	t.Helper()
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for k, l := range layers {
		z := make([]float64, l.Out)
		for i := range z {
			z[i] = float64(l.Bias[i])
			for j, v := range x {
				z[i] += float64(l.Weight[i*l.In+j]) * v
			}
			if k < len(layers)-1 {
				activation, err := ir.ParseActivation(l.Activation)
				if err != nil {
					t.Fatal(err)
				}
				z[i] = activation.Value(z[i])
			}
		}
		x = z
	}
	sum := 0.0
	for i, z := range x {
		if m.Loss == "quadratic" {
			x[i] = ir.Sigmoid.Value(z)
		} else {
			x[i] = math.Exp(z)
			sum += x[i]
		}
	}
	if m.Loss == "cross-entropy" {
		for i := range x {
			x[i] /= sum
		}
	}
	return x
}

func input(n int) []float64 {
	rng := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.Float64()
	}
	return x
}

// floatTolerance is what float32 constants (0.01, 0.044715, …) among exact arithmetic can change in a probability: each
// is off by 2^-25 of its size, enters a sum of at most 8 units of size below 10 twice, and a probability moves by at most
// a quarter of what its logit does.
const floatTolerance = 1e-5

func TestONNXMeaning(t *testing.T) {
	for _, arch := range []string{"5-8-7-3", "5-8-3", "5-3", "5-8tanh-7-6softsign-3"} {
		for _, a := range ir.Activations() {
			for _, loss := range []string{"cross-entropy", "quadratic"} {
				m := random(t, arch, a.String(), loss)
				data, err := ONNX(m)
				if err != nil {
					t.Fatal(err)
				}
				f := parseONNX(t, data)
				x := input(5)
				got, want := f.run(t, array{[]int{1, 5}, x}).data, forward(t, m, slices.Clone(x))
				for i := range want {
					if !(math.Abs(got[i]-want[i]) <= floatTolerance) {
						t.Errorf("%s %s %s: output %d is %v, want %v", arch, a, loss, i, got, want)
						break
					}
				}
			}
		}
	}
}

func TestONNXFrame(t *testing.T) {
	m := random(t, "5-8-3", "relu", "quadratic")
	data, err := ONNX(m)
	if err != nil {
		t.Fatal(err)
	}
	f := parseONNX(t, data)
	want := "ir 7, opset 13, vanilla 1.2.3, pixels float[N,5] -> probabilities float[N,3], graph 5-8-3"
	if f.signature != want {
		t.Errorf("found %s, want %s", f.signature, want)
	}
	properties := map[string]string{"vanilla": "1.2.3", "arch": "5-8-3", "activation": "relu", "loss": "quadratic",
		"seed": "7", "test_accuracy": "0.5", "recipe": `{"epochs":40}`}
	if fmt.Sprint(f.properties) != fmt.Sprint(properties) {
		t.Errorf("metadata %v, want %v", f.properties, properties)
	}
	for i, name := range m.Names() {
		c, ok := f.constants[name]
		if !ok || !slices.Equal(c.shape, m.Params[i].Shape) || !slices.Equal(c.values, m.Params[i].Data) {
			t.Errorf("initializer %s is %v, want %v", name, c, m.Params[i])
		}
	}
}

func TestNPZ(t *testing.T) {
	graph := &model.Model{Recipe: json.RawMessage("{}"), Params: []model.Tensor{
		{Name: "scale", Shape: []int{}, Data: []float32{2}},
		{Name: "cube", Shape: []int{1, 2, 2}, Data: []float32{1, 2, 3, float32(math.Inf(1))}},
	}}
	for _, m := range []*model.Model{random(t, "5-8-3", "relu", "quadratic"), graph} {
		data, err := NPZ(m)
		if err != nil {
			t.Fatal(err)
		}
		r, err := npz.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range m.Names() {
			name += ".npy"
			if found := r.Keys()[i]; found != name {
				t.Errorf("array %d is called %s, want %s", i, found, name)
			}
			p, header := m.Params[i], r.Header(name)
			if header == nil || header.Descr.Type != "<f4" || header.Descr.Fortran || !slices.Equal(header.Descr.Shape, p.Shape) {
				t.Fatalf("%s: header %v, want <f4 of shape %v", name, header, p.Shape)
			}
			var values []float32
			if len(p.Shape) == 0 {
				values = make([]float32, 1)
				err = r.Read(name, &values[0])
			} else {
				err = r.Read(name, &values)
			}
			if err != nil || !slices.Equal(values, p.Data) {
				t.Errorf("%s: %v, %v, want %v", name, values, err, p.Data)
			}
		}
	}
}

// The values begin at a multiple of 64 bytes of the array's file, as NumPy's own do.
func TestNPYAlignment(t *testing.T) {
	for n := 1; n < 1e8; n *= 10 {
		header := npy(model.Tensor{Shape: []int{n, n}})
		if len(header)%64 != 0 || header[len(header)-1] != '\n' {
			t.Errorf("shape [%d %d]: %d bytes before the values: %q", n, n, len(header), header)
		}
	}
}

func TestJSON(t *testing.T) {
	m := random(t, "3-4-2", "gelu-tanh", "cross-entropy")
	m.Params[0].Data[0] = math.SmallestNonzeroFloat32
	m.Params[0].Data[1] = math.MaxFloat32
	data, err := JSON(m)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var n struct {
		Arch, Activation, Loss string
		Layers                 []struct {
			Weight [][]float32
			Bias   []float32
		}
	}
	if err := d.Decode(&n); err != nil {
		t.Fatal(err)
	}
	if n.Arch != m.Arch || n.Activation != m.Activation || n.Loss != m.Loss || len(n.Layers) != 2 {
		t.Errorf("found %+v", n)
	}
	for k, l := range n.Layers {
		weight, bias := m.Params[2*k], m.Params[2*k+1]
		if len(l.Weight) != weight.Shape[0] || !slices.Equal(slices.Concat(l.Weight...), weight.Data) || !slices.Equal(l.Bias, bias.Data) {
			t.Errorf("layer %d is %v, want %v and %v", k, l, weight, bias)
		}
	}
	if !strings.HasPrefix(string(data), `{"arch":"3-4-2","activation":"gelu-tanh","loss":"cross-entropy","layers":[{"weight":[[`) || !bytes.HasSuffix(data, []byte("}\n")) {
		t.Errorf("found %.100q", data)
	}
}

func TestEqualBytes(t *testing.T) {
	for _, f := range Formats() {
		first, err := f.Encode(random(t, "5-8-7-3", "gelu-tanh", "quadratic"))
		if err != nil {
			t.Fatal(err)
		}
		m := random(t, "5-8-7-3", "gelu-tanh", "quadratic")
		if again, err := f.Encode(m); err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s: equal models give other bytes, %v", f.Extension, err)
		}
		m.Params[3].Data[0]++
		if other, err := f.Encode(m); err != nil || bytes.Equal(first, other) {
			t.Errorf("%s: another model gives the same bytes, %v", f.Extension, err)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for path, want := range map[string]string{"a.onnx": ".onnx", "a.b/C.NPZ": ".npz", ".json": ".json"} {
		if f, ok := FormatOf(path); !ok || f.Extension != want {
			t.Errorf("%s: found %q, %v, want %s", path, f.Extension, ok, want)
		}
	}
	for _, path := range []string{"", "onnx", "a.onnx.gz", "a.", "a.json/b"} {
		if f, ok := FormatOf(path); ok {
			t.Errorf("%s: found %s", path, f.Extension)
		}
	}
}

func TestErrors(t *testing.T) {
	graph := &model.Model{Recipe: json.RawMessage("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
	misfit := random(t, "3-2", "relu", "quadratic")
	misfit.Arch = "3-4"
	infinite := random(t, "3-2", "relu", "quadratic")
	infinite.Params[1].Data[1] = float32(math.Inf(-1))
	for name, c := range map[string]struct {
		encode func(*model.Model) ([]byte, error)
		m      *model.Model
		want   string
	}{
		"onnx of a graph":   {ONNX, graph, "not a chain of layers, and the file holds no program"},
		"json of a graph":   {JSON, graph, "not a chain of layers, which JSON lists: ONNX holds any network"},
		"onnx of a misfit":  {ONNX, misfit, "arch 3-4: expected parameter 0"},
		"npz of a misfit":   {NPZ, misfit, "arch 3-4: expected parameter 0"},
		"json of a misfit":  {JSON, misfit, "arch 3-4: expected parameter 0"},
		"json of infinity":  {JSON, infinite, "parameter 0.bias: expected finite values, which are all that JSON can hold, found -Inf"},
		"unknown function":  {ONNX, random(t, "3-4-2", "sine", "quadratic"), `no activation is called "sine"`},
		"unknown loss":      {ONNX, random(t, "3-2", "relu", "hinge"), `loss "hinge": expected cross-entropy or quadratic`},
		"no recipe for npz": {NPZ, &model.Model{Arch: "1-1"}, "expected 2 parameters"},
	} {
		data, err := c.encode(c.m)
		if err == nil || data != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v, want %s", name, err, c.want)
		}
	}
}
