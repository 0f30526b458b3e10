package model

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plain is a 2-3-1 network's file under the names of two modules, with values 0, 1, 2, … in the order of the chain.
func plain(first, second string) []byte {
	header := strings.Join([]string{
		tensor(first+".bias", "F32", "[3]", 24, 36), tensor(first+".weight", "F32", "[3,2]", 0, 24),
		tensor(second+".bias", "F32", "[1]", 48, 52), tensor(second+".weight", "F32", "[1,3]", 36, 48),
		`"__metadata__":{"format":"pt"}`,
	}, ",")
	var values []float32
	for i := range 13 {
		values = append(values, float32(i))
	}
	return frame("{"+header+"}", values...)
}

func TestDecodePlain(t *testing.T) {
	want := chain(t, "2-3-1")
	for _, names := range [][2]string{
		{"0", "2"}, {"0", "1"}, {"2", "10"}, {"layers.0", "layers.3"}, {"fc1", "fc2"}, {"net.9.2.linear9", "net.9.2.linear10"},
	} {
		data := plain(names[0], names[1])
		m, err := DecodePlain(data, "plain", "relu", "quadratic")
		if err != nil {
			t.Errorf("%q: %v", names, err)
			continue
		}
		if m.Arch != "2-3-1" || m.Activation != "relu" || m.Loss != "quadratic" || m.ImageRows != 0 || string(m.Recipe) != "{}" {
			t.Errorf("%q: got %+v", names, m)
		}
		for i, p := range m.Params {
			if q := want.Params[i]; p.Name != q.Name || !slices.Equal(p.Shape, q.Shape) || !slices.Equal(p.Data, q.Data) {
				t.Errorf("%q: parameter %d is %v, want %v", names, i, p, q)
			}
		}
		// What has been read is a model like any other.
		if _, err := Decode(encode(t, m), "again"); err != nil {
			t.Errorf("%q: %v", names, err)
		}
		if _, err := Decode(data, "plain"); !errors.Is(err, ErrPlain) {
			t.Errorf("%q: Decode: got %v, which is not ErrPlain", names, err)
		}
	}
}

func TestReadPlain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(path, plain("0", "2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := ReadPlain(path, "tanh", "cross-entropy"); err != nil || m.Arch != "2-3-1" {
		t.Errorf("got %+v, %v", m, err)
	}
	absent := path + "?"
	if _, err := ReadPlain(absent, "tanh", "cross-entropy"); err == nil || !strings.HasPrefix(err.Error(), absent+": cannot be read: ") {
		t.Errorf("got %v", err)
	}
}

func TestDecodePlainErrors(t *testing.T) {
	bias := tensor("0.bias", "F32", "[1]", 0, 4)
	weight := tensor("0.weight", "F32", "[1,2]", 4, 12)
	half := binary.LittleEndian.AppendUint16(frame("{"+tensor("0.bias", "F16", "[1]", 0, 2)+","+tensor("0.weight", "F16", "[1,1]", 2, 4)+"}"), 0)
	half = append(half, 0, 0)
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":         {nil, "not a safetensors file"},
		"no tensors":    {file(0), "as in 0.weight and 0.bias; found no tensors"},
		"no number":     {file(3, tensor("fc.bias", "F32", "[1]", 0, 4), tensor("fc.weight", "F32", "[1,2]", 4, 12)), `numbered layers only, as in 0.weight, 0.bias, 2.weight or fc1.weight; found "fc.bias", "fc.weight"`},
		"long number":   {file(1, tensor("1234567890123456789012345678901.bias", "F32", "[1]", 0, 4)), `missing "1234567890123456789012345678901.weight"`},
		"other tensors": {file(4, bias, weight, tensor("1.running_mean", "F32", "[1]", 12, 16)), `found "1.running_mean"`},
		"no bias":       {file(2, tensor("0.weight", "F32", "[1,2]", 0, 8)), `expected a weight and a bias for each layer: missing "0.bias"`},
		"no weight":     {file(1, bias), `expected a weight and a bias for each layer: missing "0.weight"`},
		"two chains": {file(6, tensor("a.0.bias", "F32", "[1]", 0, 4), tensor("a.0.weight", "F32", "[1,2]", 4, 12),
			tensor("b.0.bias", "F32", "[1]", 12, 16), tensor("b.0.weight", "F32", "[1,2]", 16, 24)), `one chain of layers, whose names differ only in their numbers; found "a.0" and "b.0"`},
		"half":         {half, `tensor "0.weight": expected dtype F32, found F16`},
		"norm":         {file(2, bias, tensor("0.weight", "F32", "[1]", 4, 8)), `tensor "0.weight": expected a matrix [out, in] as torch.nn.Linear has, found shape [1]`},
		"bias of rank": {file(3, tensor("0.bias", "F32", "[1,1]", 0, 4), weight), `tensor "0.bias": expected shape [1], one value for each row of "0.weight", found [1 1]`},
		"no chain": {file(7, bias, weight, tensor("2.bias", "F32", "[1]", 12, 16), tensor("2.weight", "F32", "[1,3]", 16, 28)),
			`tensor "2.weight": expected shape [1 1], because the layer before it has 1 outputs, found [1 3]`},
		"too wide": {file(65538, tensor("0.bias", "F32", "[1]", 0, 4), tensor("0.weight", "F32", "[1,65537]", 4, 4+4*65537)), `arch "65537-1": expected whole numbers from 1 to 65536`},
	} {
		m, err := DecodePlain(test.data, "some.safetensors", "relu", "quadratic")
		if err == nil || m != nil || !strings.HasPrefix(err.Error(), "some.safetensors: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v\nwant %s", name, err, test.want)
		}
	}
}

// FuzzDecodePlain: any bytes give a chain or an error, and a chain is a model that can be written and read.
func FuzzDecodePlain(f *testing.F) {
	f.Add(plain("0", "2"))
	f.Add(plain("layers.2", "layers.10"))
	f.Add(encode(f, chain(f, "3-2-2")))
	f.Add(encode(f, graph()))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodePlain(data, "fuzz", "relu", "quadratic")
		if err != nil {
			return
		}
		layers, err := m.Layers()
		if err != nil || len(layers) != len(m.Params)/2 {
			t.Fatalf("%d layers, %v", len(layers), err)
		}
		same, err := Decode(encode(t, m), "again")
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(m, same); d != "" {
			t.Fatalf("came back different:\n%s", d)
		}
	})
}

func TestLayers(t *testing.T) {
	m := chain(t, "3-2-4")
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers) != 2 || layers[0].In != 3 || layers[0].Out != 2 || layers[1].In != 2 || layers[1].Out != 4 ||
		&layers[0].Weight[0] != &m.Params[0].Data[0] || &layers[1].Bias[0] != &m.Params[3].Data[0] {
		t.Errorf("got %+v", layers)
	}
	for want, m := range map[string]*Model{"not a chain of layers": graph(), "expected 4 parameters": {Arch: "3-2-4"}} {
		if _, err := m.Layers(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
