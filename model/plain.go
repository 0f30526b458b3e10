package model

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nlpodyssey/safetensors"
)

// ErrPlain is wrapped by the error for a safetensors file that holds parameters and nothing else, as PyTorch's
// safetensors.torch.save_file writes it. [DecodePlain] and [ReadPlain] read such files.
var ErrPlain = errors.New("was not written by vanilla")

// DecodePlain reads the state_dict of an MLP that PyTorch, or another program, has written from the bytes of a
// safetensors file; errors begin with the file's name. The tensors give the architecture; activation and loss, which no
// state_dict holds, must be given, and any metadata is ignored.
//
// The layers are the tensors NAME.weight [out, in] and NAME.bias [out], as float32, float16, bfloat16 or float64, which
// is rounded; a layer without bias has one of zeros. Layers whose names differ only in numbers (0 and 2 as in
// torch.nn.Sequential, layers.0 and layers.1, fc1 and fc2, layer_09 and layer_10) are in the order of these numbers;
// gaps are modules without parameters. Other names (a last layer called head or out) are placed where their shapes fit.
// The model gets the names that vanilla gives them, an empty recipe, no accuracy, no version and no image size. It fails
// if the tensors are not such a chain, or if several orders of them are.
//
// Values and memory are as for [Decode].
func DecodePlain(data []byte, name, activation, loss string) (*Model, error) {
	m, err := decodePlain(data, activation, loss)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// ReadPlain reads a file as [DecodePlain] does.
func ReadPlain(path, activation, loss string) (*Model, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return DecodePlain(data, path, activation, loss)
}

func decodePlain(data []byte, activation, loss string) (*Model, error) {
	file, _, err := parse(data)
	if err != nil {
		return nil, err
	}
	modules, err := linears(file)
	if err != nil {
		return nil, err
	}
	m := &Model{Activation: activation, Loss: loss, Recipe: json.RawMessage("{}")}
	widths := []string{strconv.Itoa(modules[0].in)}
	for k, l := range modules {
		if k > 0 && l.in != modules[k-1].out {
			return nil, fmt.Errorf("tensor %.60q: expected shape [%d %d], because the layer before it has %d outputs, found [%d %d]",
				l.name+weightSuffix, l.out, modules[k-1].out, modules[k-1].out, l.out, l.in)
		}
		weight, err := readFloats(file, l.name+weightSuffix)
		if err != nil {
			return nil, err
		}
		bias := Tensor{Shape: []int{l.out}}
		if _, ok := file.Tensor(l.name + biasSuffix); !ok {
			bias.Data = make([]float32, l.out)
		} else if bias, err = readFloats(file, l.name+biasSuffix); err != nil {
			return nil, err
		}
		if !slices.Equal(bias.Shape, []int{l.out}) {
			return nil, fmt.Errorf("tensor %.60q: expected shape [%d], one value for each row of %.60q, found %.60s",
				bias.Name, l.out, weight.Name, fmt.Sprint(bias.Shape))
		}
		weight.Name, bias.Name = chainName(2*k), chainName(2*k+1)
		m.Params = append(m.Params, weight, bias)
		widths = append(widths, strconv.Itoa(l.out))
	}
	m.Arch = strings.Join(widths, "-")
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// readFloats is readTensor of any of the formats of floating-point numbers that networks are kept in.
func readFloats(file safetensors.SafeTensors, name string) (Tensor, error) {
	view, _ := file.Tensor(name)
	var size int
	var value func(b []byte) float32
	switch view.DType() {
	case safetensors.F16:
		size, value = 2, func(b []byte) float32 { return halfFloat(binary.LittleEndian.Uint16(b)) }
	case safetensors.BF16:
		size, value = 2, func(b []byte) float32 {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
		}
	case safetensors.F64:
		size, value = 8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	case safetensors.F32:
		return readTensor(file, name)
	default:
		return Tensor{}, fmt.Errorf("tensor %.60q: expected floating-point numbers (F16, BF16, F32 or F64), found %v", name, view.DType())
	}
	shape, err := shapeOf(view, name)
	if err != nil {
		return Tensor{}, err
	}
	t := Tensor{Name: name, Shape: shape, Data: make([]float32, int(view.DataLen())/size)}
	for i := range t.Data {
		t.Data[i] = value(view.Data()[size*i:])
	}
	return t, nil
}

// halfFloat is the value of an IEEE 754 binary16 number: a sign, 5 bits of exponent and 10 of fraction.
func halfFloat(bits uint16) float32 {
	sign, exponent, fraction := uint32(bits>>15)<<31, uint32(bits>>10&0x1f), uint32(bits&0x3ff)
	switch exponent {
	case 0: // subnormal, of which float32 has none so small
		v := math.Float32bits(float32(fraction) * 0x1p-24)
		return math.Float32frombits(sign | v)
	case 0x1f: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	const biases = 127 - 15
	return math.Float32frombits(sign | (exponent+biases)<<23 | fraction<<13)
}

// linear is a layer of the file.
type linear struct {
	name    string
	in, out int
	// path is the name with # for each number, and numbers are these.
	path    string
	numbers []int
}

const (
	weightSuffix = ".weight"
	biasSuffix   = ".bias"
)

// linears lists the file's layers in the order in which they follow each other.
func linears(file safetensors.SafeTensors) ([]linear, error) {
	layers := map[string]linear{}
	var foreign, missing nameList
	for _, name := range slices.Sorted(slices.Values(file.Names())) {
		if of, ok := strings.CutSuffix(name, biasSuffix); ok {
			if _, ok := file.Tensor(of + weightSuffix); !ok {
				missing.add(of + weightSuffix)
			}
			continue
		}
		of, ok := strings.CutSuffix(name, weightSuffix)
		if !ok {
			foreign.add(name)
			continue
		}
		l, err := newLinear(file, of)
		if err != nil {
			return nil, err
		}
		layers[of] = l
	}
	switch {
	case foreign.count > 0:
		return nil, fmt.Errorf("expected the weights and biases of dense layers only, as in 0.weight, 0.bias, fc2.weight or head.weight; found %v", foreign)
	case missing.count > 0:
		return nil, fmt.Errorf("expected a weight for each bias: missing %v", missing)
	case len(layers) == 0:
		return nil, errors.New("expected the weights and biases of dense layers, as in 0.weight and 0.bias; found no tensors")
	}
	// Blocks are the layers whose names differ in numbers alone.
	blocks := map[string][]linear{}
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		l := layers[name]
		blocks[l.path] = append(blocks[l.path], l)
	}
	for _, block := range blocks {
		slices.SortFunc(block, func(a, b linear) int { return slices.Compare(a.numbers, b.numbers) })
		for i, l := range block[1:] {
			if slices.Equal(l.numbers, block[i].numbers) {
				return nil, fmt.Errorf("expected layers with different numbers, found %.60q and %.60q", block[i].name, l.name)
			}
		}
	}
	return chainBlocks(blocks)
}

func newLinear(file safetensors.SafeTensors, name string) (linear, error) {
	view, _ := file.Tensor(name + weightSuffix)
	shape, err := shapeOf(view, name+weightSuffix)
	if err != nil {
		return linear{}, err
	}
	if len(shape) != 2 {
		return linear{}, fmt.Errorf("tensor %.60q: expected a matrix [out, in] as torch.nn.Linear has, found shape %.60s", name+weightSuffix, fmt.Sprint(shape))
	}
	l := linear{name: name, out: shape[0], in: shape[1], path: digits.ReplaceAllString(name, "#")}
	for _, text := range digits.FindAllString(name, -1) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return linear{}, fmt.Errorf("tensor %.60q: expected a number with at most 18 digits, found %.30s", name+weightSuffix, text)
		}
		l.numbers = append(l.numbers, n)
	}
	return l, nil
}

var digits = regexp.MustCompile(`[0-9]+`)

// maxBlocks bounds the orders that chainBlocks tries.
const maxBlocks = 6

// chainBlocks puts blocks of layers in the only order in which each takes what the one before it gives.
func chainBlocks(blocks map[string][]linear) ([]linear, error) {
	paths := slices.Sorted(maps.Keys(blocks))
	if len(paths) == 1 {
		return blocks[paths[0]], nil
	}
	var names nameList
	for _, path := range paths {
		names.add(blocks[path][0].name)
	}
	if len(paths) > maxBlocks {
		return nil, fmt.Errorf("expected names of layers that differ only in their numbers, found %v", names)
	}
	var found [][]linear
	var extend func(chain []linear, left []string)
	extend = func(chain []linear, left []string) {
		if len(left) == 0 {
			found = append(found, chain)
		}
		for i, path := range left {
			block := blocks[path]
			if len(chain) == 0 || chain[len(chain)-1].out == block[0].in {
				extend(slices.Concat(chain, block), slices.Concat(left[:i], left[i+1:]))
			}
		}
	}
	extend(nil, paths)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("expected one chain of layers, found none in which each of %v takes as many inputs as the one before it has outputs", names)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("expected one order in which the shapes of %v fit, found several: number the names, as in fc1 and fc2", names)
}
