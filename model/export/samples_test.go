package export

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/kernels/ref"
	"vanilla/model"
)

var keep = flag.String("onnx", "", "`directory` to write the samples to, with what they give, for ONNX Runtime to repeat")

// written is a sample in a directory for ONNX Runtime: a file, its pixels [N, 12], and probabilities [N, 4] by ref.
type written struct {
	Name, File    string
	Pixels        [][]float32
	Probabilities [][]float64
}

// ofSample is a model of a program with the samples' parameters.
func ofSample(p *ir.Program) *model.Model {
	m := &model.Model{Program: p.String(), Recipe: json.RawMessage(`{"batch":6}`)}
	for i, q := range p.Params {
		v := p.Value(q.Value)
		t := model.Tensor{Name: v.Name, Shape: v.Shape.At(1)}
		for _, x := range samples.Parameter(i, v.Shape.Len(1)) {
			t.Data = append(t.Data, float32(x))
		}
		m.Params = append(m.Params, t)
	}
	return m
}

// evaluated are a program's probabilities [N, classes] in an evaluation of pixels [N, features], in float64.
func evaluated(p *ir.Program, m *model.Model, pixels []float64) []float64 {
	in := ref.NewInterpreter[float64](p)
	for i, q := range p.Params {
		for j, v := range m.Params[i].Data {
			in.Values[q.Value][j] = float64(v)
		}
	}
	in.Forward(pixels, make([]byte, len(pixels)/p.Features()))
	out := in.Values[p.Output]
	if !p.Softmax() {
		return out
	}
	for row := range len(out) / p.Classes() {
		z, sum := out[row*p.Classes():(row+1)*p.Classes()], 0.
		top := slices.Max(z)
		for _, v := range z {
			sum += math.Exp(v - top)
		}
		for j, v := range z {
			z[j] = math.Exp(v-top) / sum
		}
	}
	return out
}

// Every program is exported operation by operation, as one of tensor operations and with what of it is layers, and gives
// what the definition gives in an evaluation.
func TestONNXOfSamples(t *testing.T) {
	bytes, _ := samples.Pixels(samples.Batch)
	pixels := make([]float64, len(bytes))
	for i, v := range bytes {
		pixels[i] = float64(v) / 255
	}
	var list []written
	for s, n := range samples.Lowered(t, tensor.Float32) {
		for what, p := range map[string]*ir.Program{"parts": n.Program, "tensor operations": n.Tensor} {
			m := ofSample(p)
			data, err := ONNX(m)
			if err != nil {
				t.Errorf("%s, %s: %v", s.Name, what, err)
				continue
			}
			want := evaluated(p, m, pixels)
			got := parseONNX(t, data).run(t, array{[]int{samples.Batch, samples.Features}, pixels})
			if len(got.data) != len(want) || len(got.shape) != 2 {
				t.Fatalf("%s, %s: probabilities of shape %v", s.Name, what, got.shape)
			}
			for i := range want {
				if d := math.Abs(got.data[i] - want[i]); !(d <= floatTolerance*math.Max(1, math.Abs(want[i]))) {
					t.Errorf("%s, %s: output %d is %v, want %v", s.Name, what, i, got.data[i], want[i])
					break
				}
			}
			if *keep == "" {
				continue
			}
			w := written{Name: s.Name + ", " + what, File: fmt.Sprintf("%03d.onnx", len(list))}
			for i := range samples.Batch {
				var row []float32
				for _, v := range pixels[i*samples.Features : (i+1)*samples.Features] {
					row = append(row, float32(v))
				}
				w.Pixels, w.Probabilities = append(w.Pixels, row), append(w.Probabilities, want[i*samples.Classes:(i+1)*samples.Classes])
			}
			if err := os.WriteFile(filepath.Join(*keep, w.File), data, 0o644); err != nil {
				t.Fatal(err)
			}
			list = append(list, w)
		}
	}
	if *keep != "" {
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*keep, "samples.json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// program is a program of these operations on x[B,3] with a parameter w[3,2], whose result is z.
func program(t *testing.T, operations string) *ir.Program {
	t.Helper()
	p, err := ir.Parse("program \"test\"\ninput x[B,3]\ntarget y[B,2]\nparam w[2,3] grad dw\nforward\n" + operations +
		"loss = xent z y\ngradients\ndz[B,2] = dxent z y\ndw[2,3] = dweight dz x\noutput z\nloss loss\n")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every function of Map has operators that compute it, near zero too, where some lose digits.
func TestONNXFunctions(t *testing.T) {
	x := []float64{1e-6, 0.3, 2.5, 0.75, 1, 1e-3}
	for _, f := range ir.MapFunctions() {
		operation := fmt.Sprintf("m[B,2] = map %s z0\n", f)
		if f.Binary() != nil {
			operation = fmt.Sprintf("v[B,2] = map square z0\nm[B,2] = map %s z0 v\n", f)
		}
		p := program(t, "z0[B,2] = dense x w\n"+operation+"z[B,2] = map add z0 m\n")
		m := &model.Model{Program: p.String(), Recipe: json.RawMessage("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{2, 3}, Data: []float32{1, 0, 0, 0, 1, 0}}}}
		data, err := ONNX(m)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		got, want := parseONNX(t, data).run(t, array{[]int{2, 3}, x}), evaluated(p, m, x)
		for i := range want {
			if !(math.Abs(got.data[i]-want[i]) <= floatTolerance) {
				t.Errorf("%s: output %d is %v, want %v", f, i, got.data[i], want[i])
			}
		}
	}
}

// What ONNX has no operator for is refused by the operation's name and what it computes.
func TestONNXRefusals(t *testing.T) {
	for want, operations := range map[string]string{
		`operation unslice, which computes "u": it is a gradient`:       "z0[B,2] = dense x w\nu[B,3] = unslice z0 axes=1 ints=0,2,1\ns[B,2] = slice u axes=1 ints=0,2,1\nz[B,2] = map add z0 s\n",
		`operation map, which computes "q", reads the labels: expected`: "z0[B,2] = dense x w\nq[B,2] = map mul z0 y\nz[B,2] = map add z0 q\n",
	} {
		p := program(t, operations)
		m := &model.Model{Program: p.String(), Recipe: json.RawMessage("{}"), Params: []model.Tensor{{Name: "w", Shape: []int{2, 3}, Data: make([]float32, 6)}}}
		if data, err := ONNX(m); data != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
