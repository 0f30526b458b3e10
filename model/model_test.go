package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// chain returns a model whose values are 0, 1, 2, … in the order of its parameters.
func chain(t testing.TB, arch string) *Model {
	t.Helper()
	widths, err := Widths(arch)
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{
		Arch: arch, Activation: "sigmoid", Loss: "cross-entropy", Seed: 1, TestAccuracy: 0.9627,
		Recipe: json.RawMessage(`{"epochs":40}`), Version: "v1.2.3",
	}
	next := float32(0)
	for i := range chainLen(widths) {
		name, shape := chainParam(widths, i)
		p := Tensor{Name: name, Shape: shape}
		for range product(shape) {
			p.Data = append(p.Data, next)
			next++
		}
		m.Params = append(m.Params, p)
	}
	return m
}

// graph returns a model that is no chain, with parameters of rank 0 to 3 in an order that is not the names'.
func graph() *Model {
	return &Model{
		Activation: "softplus", Loss: "quadratic", ImageRows: 3, ImageCols: 2, Seed: math.MaxUint64, TestAccuracy: 1,
		Recipe: json.RawMessage(`{"graph":"<by hand> & 'äø' \u2028"}`), Version: "devel",
		Params: []Tensor{
			{Name: "z", Shape: []int{2, 1, 2}, Data: []float32{1, 2, 3, 4}},
			{Name: "temperature", Shape: []int{}, Data: []float32{5}},
			{Name: `a "quoted" <name>`, Shape: []int{1, 3}, Data: []float32{6, 7, 8}},
			{Name: "10", Shape: []int{1}, Data: []float32{9}},
			{Name: "2", Shape: []int{1}, Data: []float32{10}},
		},
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func encode(t testing.TB, m *Model) []byte {
	t.Helper()
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// diff names the first field in which two models differ, comparing values by their bits; "" if there is none.
func diff(a, b *Model) string {
	x, y := *a, *b
	x.Params, y.Params = nil, nil
	if !reflect.DeepEqual(x, y) {
		return fmt.Sprintf("%+v\n%+v", x, y)
	}
	if len(a.Params) != len(b.Params) {
		return fmt.Sprintf("%d and %d parameters", len(a.Params), len(b.Params))
	}
	for i, p := range a.Params {
		q := b.Params[i]
		sameBits := func(v, w float32) bool { return math.Float32bits(v) == math.Float32bits(w) }
		if p.Name != q.Name || !slices.Equal(p.Shape, q.Shape) || !slices.EqualFunc(p.Data, q.Data, sameBits) {
			return fmt.Sprintf("parameter %d: %+v\n%+v", i, p, q)
		}
	}
	return ""
}

// The bytes of a file, put together by hand.
func TestEncodeBytes(t *testing.T) {
	m := chain(t, "2-1-1")
	m.ImageRows, m.ImageCols = 1, 2
	m.Recipe = json.RawMessage(" {\"lr\": 1e0,\n\t\"a\": [1, 2]} ")
	const header = `{"0.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},` +
		`"0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]},` +
		`"2.bias":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},` +
		`"2.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[16,20]},` +
		`"__metadata__":{"activation":"sigmoid","arch":"2-1-1","crc32c":"00000000","format":"pt","image":"1x2","loss":"cross-entropy",` +
		`"recipe":"{\"lr\":1e0,\"a\":[1,2]}","seed":"1","test_accuracy":"0.9627","vanilla":"v1.2.3"}}`
	padded := header + strings.Repeat(" ", (8-len(header)%8)%8)
	want := frame(padded, 2, 0, 1, 4, 3)
	sum := crc32.Checksum(want, crc32.MakeTable(crc32.Castagnoli))
	want = bytes.Replace(want, []byte("00000000"), fmt.Appendf(nil, "%08x", sum), 1)
	if got := encode(t, m); !bytes.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// frame puts a header and values together to a file.
func frame(header string, values ...float32) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	data = append(data, header...)
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

func TestEncodeIsDeterministic(t *testing.T) {
	for _, m := range []*Model{chain(t, "7-6-5-4-3-2-1"), graph()} {
		first := encode(t, m)
		for range 50 {
			if !bytes.Equal(encode(t, m), first) {
				t.Fatalf("%q: two encodings differ", m.Arch)
			}
		}
	}
}

func TestValuesAreAligned(t *testing.T) {
	m := chain(t, "3-2")
	for n := range 9 {
		m.Version = strings.Repeat("v", n)
		if headerBytes := binary.LittleEndian.Uint64(encode(t, m)); headerBytes%8 != 0 {
			t.Errorf("version %q: header of %d bytes", m.Version, headerBytes)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	diverged := chain(t, "2-2")
	bits := []uint32{0x7fc00000, 0xffc00001, 0x7f800000, 0xff800000, 0x80000000, 0x00000001}
	for i := range diverged.Params {
		for j := range diverged.Params[i].Data {
			diverged.Params[i].Data[j] = math.Float32frombits(bits[4*i+j])
		}
	}
	images := chain(t, "784-16-16-10")
	images.ImageRows, images.ImageCols = 28, 28
	for name, m := range map[string]*Model{
		"images":     images,
		"deep":       chain(t, strings.Repeat("2-", 12)+"2"), // 10.weight stands before 2.weight in the file
		"graph":      graph(),
		"not finite": diverged,
	} {
		data := encode(t, m)
		got, err := Decode(data, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := diff(got, m); d != "" {
			t.Errorf("%s: came back different:\n%s", name, d)
		}
		clear(data)
		if d := diff(got, m); d != "" {
			t.Errorf("%s: shares memory with the file's bytes", name)
		}
	}
}

// In memory, the parameters of a chain may have any names, or all the same.
func TestEncodeNamesChain(t *testing.T) {
	want := chain(t, "3-2-2")
	m := chain(t, "3-2-2")
	for i := range m.Params {
		m.Params[i].Name = "w"
	}
	got, err := Decode(encode(t, m), "chain")
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(got, want); d != "" {
		t.Error(d)
	}
	if m.Params[0].Name != "w" {
		t.Error("Encode renamed its model's parameters")
	}
}

func TestRoundTripRandom(t *testing.T) {
	const models = 300
	text := []string{"", "relu", "größe", "a\x00b", "\"<&>\\", "\u2028"}
	for seed := range uint64(models) {
		rng := rand.New(rand.NewPCG(seed, 0))
		pick := func() string { return text[rng.IntN(len(text))] }
		quoted, err := json.Marshal(map[string]any{pick(): pick(), pick(): rng.Float64()})
		if err != nil {
			t.Fatal(err)
		}
		m := &Model{
			Activation: pick(), Loss: pick(), Version: pick(), Seed: rng.Uint64(),
			TestAccuracy: rng.Float64(), Recipe: quoted,
		}
		var shapes [][]int
		if rng.IntN(2) == 0 {
			m.ImageRows, m.ImageCols = 1+rng.IntN(4), 1+rng.IntN(4)
			widths := []int{m.ImageRows * m.ImageCols}
			m.Arch = fmt.Sprint(widths[0])
			for range 1 + rng.IntN(15) {
				widths = append(widths, 1+rng.IntN(6))
				m.Arch += fmt.Sprintf("-%d", widths[len(widths)-1])
			}
			for i := range chainLen(widths) {
				name, shape := chainParam(widths, i)
				m.Params, shapes = append(m.Params, Tensor{Name: name}), append(shapes, shape)
			}
		} else {
			for i := range 1 + rng.IntN(8) {
				shape := make([]int, rng.IntN(4))
				for d := range shape {
					shape[d] = 1 + rng.IntN(4)
				}
				m.Params, shapes = append(m.Params, Tensor{Name: fmt.Sprint(pick(), 100-i)}), append(shapes, shape)
			}
		}
		for i, shape := range shapes {
			m.Params[i].Shape = shape
			for range product(shape) {
				m.Params[i].Data = append(m.Params[i].Data, math.Float32frombits(rng.Uint32()))
			}
		}
		got, err := Decode(encode(t, m), "random")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if d := diff(got, m); d != "" {
			t.Fatalf("seed %d: came back different:\n%s", seed, d)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	const notUTF8 = "\xff"
	// 4 GiB of values, all in one array that nothing touches.
	var many []Tensor
	values := make([]float32, 1<<24)
	for i := range 64 {
		many = append(many, Tensor{Name: fmt.Sprint(i), Shape: []int{len(values)}, Data: values})
	}
	set := func(edit func(*Model)) *Model { m := chain(t, "3-2-2"); edit(m); return m }
	setGraph := func(edit func(*Model)) *Model { m := graph(); edit(m); return m }
	for _, test := range []struct {
		model *Model
		want  string
	}{
		{&Model{}, `expected parameters, found none`},
		{set(func(m *Model) { m.Recipe = nil }), `recipe: expected one JSON object, found ""`},
		{setGraph(func(m *Model) { m.Params = many }), `expected at most 4293918712 bytes of parameters, found 4294967296`},
		{set(func(m *Model) { m.Arch = "3" }), `arch "3": expected at least two widths`},
		{set(func(m *Model) { m.Arch = "3-2" }), `arch 3-2: expected 2 parameters (weight and bias of 1 layers), found 4`},
		{set(func(m *Model) { m.Arch = "3-2-1" }), `arch 3-2-1: expected parameter 2 (2.weight) of shape [1 2], found "2.weight" of shape [2 2]`},
		{set(func(m *Model) { m.Arch = notUTF8 }), `arch: expected UTF-8, found "\xff"`},
		{set(func(m *Model) { m.Activation = notUTF8 }), `activation: expected UTF-8`},
		{set(func(m *Model) { m.Loss = notUTF8 }), `loss: expected UTF-8`},
		{set(func(m *Model) { m.Version = notUTF8 }), `version: expected UTF-8`},
		{set(func(m *Model) { m.Recipe = json.RawMessage(`{"` + notUTF8 + `":1}`) }), `recipe: expected UTF-8`},
		{set(func(m *Model) { m.Recipe = json.RawMessage(`{"a":}`) }), `recipe: expected one JSON object, found "{\"a\":}": invalid character`},
		{set(func(m *Model) { m.Recipe = json.RawMessage(`{} {}`) }), `recipe: expected one JSON object, found "{} {}"`},
		{set(func(m *Model) { m.Recipe = json.RawMessage(`[1]`) }), `recipe: expected one JSON object, found "[1]"`},
		{set(func(m *Model) { m.TestAccuracy = math.NaN() }), `test accuracy: expected a fraction from 0 to 1, found NaN`},
		{set(func(m *Model) { m.TestAccuracy = 96.27 }), `test accuracy: expected a fraction from 0 to 1, found 96.27`},
		{set(func(m *Model) { m.TestAccuracy = -0.1 }), `test accuracy: expected a fraction from 0 to 1, found -0.1`},
		{set(func(m *Model) { m.ImageRows, m.ImageCols = 2, 2 }), `image: arch 3-2-2 has 3 inputs, an image of 2x2 has 4 pixels`},
		{set(func(m *Model) { m.ImageRows = 3 }), `image: expected rows and columns from 1 to 65536`},
		{setGraph(func(m *Model) { m.ImageCols = -2 }), `found 3 and -2`},
		{setGraph(func(m *Model) { m.ImageCols = 65537 }), `found 3 and 65537`},
		{set(func(m *Model) { m.Params[1].Data = m.Params[1].Data[:1] }), `parameter "0.bias": expected as many values as its shape says, each dimension at least 1; found 1 values, shape [2]`},
		{setGraph(func(m *Model) { m.Params = nil }), `expected parameters, found none`},
		{setGraph(func(m *Model) { m.Params[1].Name = "" }), `parameter 1: expected a name (there is no arch to derive one from), found none`},
		{setGraph(func(m *Model) { m.Params[1].Name = "__metadata__" }), `parameter 1: the name "__metadata__" is safetensors' own`},
		{setGraph(func(m *Model) { m.Params[1].Name = notUTF8 }), `parameter 1: expected a name in UTF-8, found "\xff"`},
		{setGraph(func(m *Model) { m.Params[4].Name = "z" }), `parameters 0 and 4: expected unique names, found "z" twice`},
		{setGraph(func(m *Model) { m.Params[0].Shape = []int{2, -1, -2} }), `found 4 values, shape [2 -1 -2]`},
		{setGraph(func(m *Model) { m.Params[0].Shape = []int{0}; m.Params[0].Data = nil }), `found 0 values, shape [0]`},
		{setGraph(func(m *Model) { m.Params[0].Shape = []int{1 << 30, 1 << 30, 1 << 30} }), `found 4 values`},
		// The product is 2^64 + 4, or 2^32 + 4 where an int has 32 bits.
		{setGraph(func(m *Model) { m.Params[0].Shape = []int{5, math.MaxUint/5 + 1} }), `found 4 values`},
		{setGraph(func(m *Model) { m.Params[1].Shape = make([]int, 9) }), `parameter "temperature": expected at most 8 dimensions, found 9`},
		{setGraph(func(m *Model) { m.Params[1].Data = nil }), `parameter "temperature": expected as many values`},
		{setGraph(func(m *Model) { m.Params[1].Name = strings.Repeat("n", maxHeaderBytes) }), `expected a header (metadata and tensors' names) of at most 1048576 bytes`},
	} {
		data, err := test.model.Encode()
		if err == nil || data != nil || !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v\nwant %s", err, test.want)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("a message of %d bytes: %.100s", len(err.Error()), err)
		}
	}
}

func TestWidths(t *testing.T) {
	for arch, want := range map[string][]int{
		"784-16-16-10": {784, 16, 16, 10},
		"1-65536":      {1, 65536},
	} {
		if got, err := Widths(arch); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v", arch, got, err)
		}
	}
	for arch, want := range map[string]string{
		"":                       `expected whole numbers from 1 to 65536 joined by "-", as in 784-16-16-10, found ""`,
		"784":                    `arch "784": expected at least two widths (inputs and outputs), as in 784-16-16-10, found one`,
		"784-":                   `found ""`,
		"784--10":                `found ""`,
		"784-x-10":               `found "x"`,
		"784-0-10":               `found "0"`,
		"784-65537":              `found "65537"`,
		"784-016":                `found "016"`,
		"+784-16":                `found "+784"`,
		"784 - 16":               `found "784 "`,
		"784,16":                 `found "784,16"`,
		"9-99999999999999999999": `found "99999999999999999999"`,
		"９-1":                    `found "９"`,
	} {
		if got, err := Widths(arch); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %s", arch, got, err, want)
		}
	}
}

// Hidden layers may have activations of their own.
// The activation that no hidden layer has is not named.
func TestDescribe(t *testing.T) {
	for arch, want := range map[string]string{
		"784-10":                     "784-10 sigmoid",
		"784-16-16-10":               "784-16-16-10 sigmoid",
		"784-32relu-16-10":           "784-32relu-16-10 sigmoid",
		"784-32relu-16leaky-relu-10": "784-32relu-16leaky-relu-10",
	} {
		if got := Describe(arch, "sigmoid"); got != want {
			t.Errorf("%s is called %q, want %q", arch, got, want)
		}
	}
}

// A graph's name, which its author chose, is a title on one line.
func TestTitleIsALine(t *testing.T) {
	m := &Model{Params: []Tensor{{Name: "W", Shape: []int{2, 2}, Data: make([]float32, 4)}}, Program: `program "odd\nname"
input x[B,2]
target y[B,2]
param W[2,2] grad dW
forward
0 z[B,2] = dense x W
1 loss = xent z y
gradients
2 dz[B,2] = dxent z y
3 dW[2,2] = dweight dz x
output z
loss loss`}
	if got, want := m.Title(), `odd\u000aname`; got != want {
		t.Errorf("the title is %q, want %q", got, want)
	}
}

func TestParseArch(t *testing.T) {
	for arch, want := range map[string]string{
		"784-16-10":              "[784 16 10] []",
		"784-32relu-16tanh-10":   "[784 32 16 10] [ relu tanh ]",
		"784-32leaky-relu-16-10": "[784 32 16 10] [ leaky-relu  ]",
		"784-32-16gelu-tanh-10":  "[784 32 16 10] [  gelu-tanh ]",
		"784relu-16-10":          "after 784",
		"784-16-10tanh":          "after 10",
		"784-16-relu-10":         `found "relu"`,
		"784-16 relu-10":         `found "16 relu"`,
		"784-16relu--10":         `found ""`,
		"784-016relu-10":         `found "016relu"`,
	} {
		widths, activations, err := ParseArch(arch)
		got := fmt.Sprint(widths, activations)
		if err != nil {
			got = err.Error()
		} else if again := JoinArch(widths, activations); again != arch {
			t.Errorf("%s: joined again to %s", arch, again)
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", arch, got, want)
		}
	}
}
