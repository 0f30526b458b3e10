package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nlpodyssey/safetensors"
)

// ErrPlain is wrapped by the error for a safetensors file that holds parameters and nothing else, as PyTorch's
// safetensors.torch.save_file writes it. [DecodePlain] and [ReadPlain] read such files.
var ErrPlain = errors.New("was not written by vanilla")

// DecodePlain reads the state_dict of a PyTorch MLP from the bytes of a safetensors file; errors begin with the file's
// name. The tensors give the architecture; activation and loss, which no state_dict holds, must be given, and any
// metadata is ignored.
//
// The layers are the tensors NAME.weight [out, in] and NAME.bias [out], float32, in the order of the number that ends
// each NAME: 0 and 2 as in torch.nn.Sequential, layers.0 and layers.1, fc1 and fc2; what stands before the number must
// be the same for all. Gaps in the numbers are modules without parameters. The model gets the names that vanilla gives
// them, an empty recipe, no accuracy, no version and no image size. It fails if the tensors are not such a chain.
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
	var widths []string
	for k, module := range modules {
		weight, err := readTensor(file, module.String()+".weight")
		if err != nil {
			return nil, err
		}
		if len(weight.Shape) != 2 {
			return nil, fmt.Errorf("tensor %.60q: expected a matrix [out, in] as torch.nn.Linear has, found shape %.60s",
				weight.Name, fmt.Sprint(weight.Shape))
		}
		out, in := weight.Shape[0], weight.Shape[1]
		if k == 0 {
			widths = []string{strconv.Itoa(in)}
		} else if last := m.Params[2*k-1].Shape[0]; in != last {
			return nil, fmt.Errorf("tensor %.60q: expected shape [%d %d], because the layer before it has %d outputs, found %v",
				weight.Name, out, last, last, weight.Shape)
		}
		bias, err := readTensor(file, module.String()+".bias")
		if err != nil {
			return nil, err
		}
		if !slices.Equal(bias.Shape, []int{out}) {
			return nil, fmt.Errorf("tensor %.60q: expected shape [%d], one value for each row of %.60q, found %.60s",
				bias.Name, out, weight.Name, fmt.Sprint(bias.Shape))
		}
		weight.Name, bias.Name = chainName(2*k), chainName(2*k+1)
		m.Params = append(m.Params, weight, bias)
		widths = append(widths, strconv.Itoa(out))
	}
	m.Arch = strings.Join(widths, "-")
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// linear is a module of the file: its name is path and number.
type linear struct {
	path   string
	number int
}

func (l linear) String() string { return l.path + strconv.Itoa(l.number) }

// linearName is the name of a parameter of a module, with a number short enough for an int.
var linearName = regexp.MustCompile(`^(.*?)(0|[1-9][0-9]{0,8})\.(?:weight|bias)$`)

// linears lists the file's modules in the order of their numbers, each with a weight and a bias.
func linears(file safetensors.SafeTensors) ([]linear, error) {
	var modules []linear
	var foreign, missing nameList
	for _, name := range slices.Sorted(slices.Values(file.Names())) {
		parts := linearName.FindStringSubmatch(name)
		if parts == nil {
			foreign.add(name)
			continue
		}
		number, err := strconv.Atoi(parts[2])
		if err != nil {
			return nil, err
		}
		modules = append(modules, linear{parts[1], number})
	}
	slices.SortFunc(modules, func(a, b linear) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.path, b.path))
	})
	modules = slices.Compact(modules)
	for _, l := range modules {
		for _, name := range []string{l.String() + ".weight", l.String() + ".bias"} {
			if _, ok := file.Tensor(name); !ok {
				missing.add(name)
			}
		}
	}
	switch {
	case foreign.count > 0:
		return nil, fmt.Errorf("expected the weights and biases of numbered layers only, as in 0.weight, 0.bias, 2.weight or fc1.weight; found %v", foreign)
	case len(modules) == 0:
		return nil, errors.New("expected the weights and biases of numbered layers, as in 0.weight and 0.bias; found no tensors")
	case missing.count > 0:
		return nil, fmt.Errorf("expected a weight and a bias for each layer: missing %v", missing)
	}
	for _, l := range modules {
		if l.path != modules[0].path {
			return nil, fmt.Errorf("expected one chain of layers, whose names differ only in their numbers; found %.60q and %.60q", modules[0], l)
		}
	}
	return modules, nil
}
