package model

import (
	"encoding/binary"
	"errors"
	"math"
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
		{"layer_09", "layer_10"}, {"blocks.0.dense", "blocks.1.dense"}, {"fc1", "head"}, {"fc", "out"}, {"z.hidden", "a.out"},
		{"features.0", "classifier.0"},
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

// Layers without a bias have one of zeros.
func TestDecodePlainWithoutBias(t *testing.T) {
	data := frame("{"+tensor("0.weight", "F32", "[2,1]", 0, 8)+","+tensor("2.weight", "F32", "[1,2]", 8, 16)+","+tensor("2.bias", "F32", "[1]", 16, 20)+"}", 1, 2, 3, 4, 5)
	m, err := DecodePlain(data, "plain", "relu", "quadratic")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Params[1].Data, []float32{0, 0}) || !slices.Equal(m.Params[3].Data, []float32{5}) {
		t.Errorf("biases %v and %v", m.Params[1], m.Params[3])
	}
}

// The values of other formats, written as their bits are defined.
func TestDecodePlainFormats(t *testing.T) {
	want := []float32{1, -2, 0.5, 65504, 0x1p-24, 0x1p-14, 0, float32(math.Inf(-1))}
	for dtype, bits := range map[string][]uint64{
		"F16":  {0x3c00, 0xc000, 0x3800, 0x7bff, 0x0001, 0x0400, 0x0000, 0xfc00},
		"BF16": {0x3f80, 0xc000, 0x3f00, 0x477f, 0x3380, 0x3880, 0x0000, 0xff80},
		"F64": {0x3ff0000000000000, 0xc000000000000000, 0x3fe0000000000000, 0x40effc0000000000, 0x3e70000000000000,
			0x3f10000000000000, 0x0000000000000000, 0xfff0000000000000},
	} {
		size := map[string]uint64{"F16": 2, "BF16": 2, "F64": 8}[dtype]
		data := frame("{" + tensor("fc.weight", dtype, "[1,8]", 0, 8*size) + "}")
		for _, b := range bits {
			data = append(data, binary.LittleEndian.AppendUint64(nil, b)[:size]...)
		}
		m, err := DecodePlain(data, "plain", "relu", "quadratic")
		if err != nil {
			t.Errorf("%s: %v", dtype, err)
			continue
		}
		for i, v := range m.Params[0].Data {
			want := want[i]
			if dtype == "BF16" && i == 3 {
				want = 65280 // of 8 bits
			}
			if v != want {
				t.Errorf("%s: value %d is %v, want %v", dtype, i, v, want)
			}
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
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":         {nil, "not a safetensors file"},
		"no tensors":    {file(0), "as in 0.weight and 0.bias; found no tensors"},
		"long number":   {file(1, tensor("1234567890123456789012345678901.weight", "F32", "[1,1]", 0, 4)), `a number with at most 18 digits`},
		"other tensors": {file(4, bias, weight, tensor("1.running_mean", "F32", "[1]", 12, 16)), `found "1.running_mean"`},
		"no weight":     {file(1, bias), `expected a weight for each bias: missing "0.weight"`},
		"two chains": {file(6, tensor("a.0.bias", "F32", "[1]", 0, 4), tensor("a.0.weight", "F32", "[1,2]", 4, 12),
			tensor("b.0.bias", "F32", "[1]", 12, 16), tensor("b.0.weight", "F32", "[1,2]", 16, 24)), `found none in which each of "a.0", "b.0" takes as many inputs as the one before it has outputs`},
		"two orders":       {file(8, tensor("a.weight", "F32", "[2,2]", 0, 16), tensor("b.weight", "F32", "[2,2]", 16, 32)), `found several: number the names, as in fc1 and fc2`},
		"one number twice": {file(8, tensor("l1.weight", "F32", "[2,2]", 0, 16), tensor("l01.weight", "F32", "[2,2]", 16, 32)), `different numbers, found "l01" and "l1"`},
		"integers":         {file(1, tensor("0.weight", "I32", "[1,1]", 0, 4)), `tensor "0.weight": expected floating-point numbers (F16, BF16, F32 or F64), found I32`},
		"norm":             {file(2, bias, tensor("0.weight", "F32", "[1]", 4, 8)), `tensor "0.weight": expected a matrix [out, in] as torch.nn.Linear has, found shape [1]`},
		"bias of rank":     {file(3, tensor("0.bias", "F32", "[1,1]", 0, 4), weight), `tensor "0.bias": expected shape [1], one value for each row of "0.weight", found [1 1]`},
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
	f.Add(plain("fc", "head"))
	f.Add(frame("{"+tensor("fc.weight", "F16", "[1,2]", 0, 4)+"}", 1))
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
