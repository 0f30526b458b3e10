package export

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"vanilla/graph/ir"
	"vanilla/model"
)

// What the files ask of the program that reads them: operator set 13 came with version 7 of the format, in 2020.
const (
	onnxVersion = 7
	onnxOpset   = 13
)

// The names of the network's input and output.
const (
	onnxInput  = "pixels"
	onnxOutput = "probabilities"
)

// ONNX writes a network in the Open Neural Network Exchange format, with operators of set 13. Its input is pixels
// [N, inputs], float32 from 0 to 1 for any N, its output probabilities [N, outputs]: the softmax of the outputs for a
// network trained with cross-entropy, and the outputs as they are for others: after the quadratic cost sigmoids, which do
// not sum to 1. The initializers are called as in the model file. The file's metadata are the model file's; if what the
// network makes of an image depends on the rest of its batch, they say under batch which size it was trained in.
//
// Chains of layers are written layer by layer, other networks operation by operation, as they are evaluated: dropout is
// the identity. It fails for activations and losses that vanilla does not know, for operations that ONNX has not, which
// the error names, and beyond the 2 GiB that a protocol buffer can hold.
// Source: onnx.proto3 of https://github.com/onnx/onnx
func ONNX(m *model.Model) ([]byte, error) {
	g := &onnxGraph{name: cmp.Or(m.Arch, m.Title()), taken: map[string]bool{onnxInput: true, onnxOutput: true}}
	properties := [][2]string{
		{"vanilla", m.Version},
		{"arch", m.Arch},
		{"activation", m.Activation},
		{"loss", m.Loss},
		{"seed", strconv.FormatUint(m.Seed, 10)},
		{"test_accuracy", strconv.FormatFloat(m.TestAccuracy, 'g', -1, 64)},
		{"recipe", string(m.Recipe)},
	}
	if m.Arch != "" {
		if err := g.chain(m); err != nil {
			return nil, err
		}
	} else {
		p, err := m.ParseProgram()
		if err != nil {
			return nil, err
		}
		if err := g.program(p, m.Params); err != nil {
			return nil, err
		}
		if batch := m.Batch(); p.Coupled() && batch > 0 {
			properties = append(properties, [2]string{"batch", strconv.Itoa(batch)})
		}
	}
	if m.Classes != nil {
		names, err := json.Marshal(m.Classes)
		if err != nil {
			return nil, err
		}
		properties = append(properties, [2]string{"classes", string(names)})
	}
	if m.Data != nil {
		properties = append(properties, [2]string{"data", string(m.Data)})
	}
	inputs, outputs, err := m.Extent()
	if err != nil {
		return nil, err
	}

	var file message // ModelProto
	file.int(1, onnxVersion)
	file.text(2, "vanilla")
	file.text(3, m.Version)
	file.bytes(7, g.proto(inputs, outputs))
	var opset message // OperatorSetIdProto of the standard operators, whose domain is ""
	opset.text(1, "")
	opset.int(2, onnxOpset)
	file.bytes(8, opset)
	for _, property := range properties {
		var entry message // StringStringEntryProto
		entry.text(1, property[0])
		entry.text(2, property[1])
		file.bytes(14, entry)
	}
	if limit := 1<<31 - 1; len(file) > limit {
		return nil, fmt.Errorf("expected at most the %d bytes that a protocol buffer can hold, found %d", limit, len(file))
	}
	return file, nil
}

// chain adds a chain of layers.
func (g *onnxGraph) chain(m *model.Model) error {
	layers, err := m.Layers()
	if err != nil {
		return err
	}
	if m.Loss != "cross-entropy" && m.Loss != "quadratic" {
		return fmt.Errorf("loss %.60q: expected cross-entropy or quadratic, which say what the outputs mean", m.Loss)
	}
	names := m.Names()
	x := onnxInput
	for k, l := range layers {
		weight, bias := names[2*k], names[2*k+1]
		g.initializer(weight, []int{l.Out, l.In}, l.Weight)
		g.initializer(bias, []int{l.Out}, l.Bias)
		name := strconv.Itoa(k + 1)
		x = g.node("Gemm", "layer"+name, []string{x, weight, bias}, attribute{"transB", 1})
		if k == len(layers)-1 {
			break
		}
		activation, err := ir.ParseActivation(l.Activation)
		if err != nil {
			return err
		}
		x = g.activation(activation, "hidden"+name, x)
	}
	if m.Loss == "quadratic" {
		g.node("Sigmoid", onnxOutput, []string{x})
	} else {
		g.node("Softmax", onnxOutput, []string{x}, attribute{"axis", 1})
	}
	return nil
}

// onnxGraph collects a network's nodes, each after those that it reads, and its constants.
type onnxGraph struct {
	name         string
	taken        map[string]bool // names of a program's values
	nodes        []message       // NodeProto
	initializers []message       // TensorProto
}

// attribute is a constant of a node: a float32, an int, or ints.
type attribute struct {
	name  string
	value any
}

// node adds a node with one output, whose name it takes and returns.
func (g *onnxGraph) node(op, name string, inputs []string, attributes ...attribute) string {
	var n message
	for _, input := range inputs {
		n.text(1, input)
	}
	n.text(2, name)
	n.text(3, name)
	n.text(4, op)
	for _, a := range attributes {
		var p message // AttributeProto, whose field 20 says which of the others holds the value
		p.text(1, a.name)
		switch v := a.value.(type) {
		case float32:
			p.float(2, v)
			p.int(20, 1)
		case int:
			p.int(3, int64(v))
			p.int(20, 2)
		case []int:
			for _, n := range v {
				p.int(8, int64(n))
			}
			p.int(20, 7)
		}
		n.bytes(5, p)
	}
	g.nodes = append(g.nodes, n)
	return name
}

// initializer adds a constant, a scalar if it has no shape.
func (g *onnxGraph) initializer(name string, shape []int, values []float32) string {
	var t message
	for _, d := range shape {
		t.int(1, int64(d))
	}
	t.int(2, 1) // FLOAT
	t.text(8, name)
	t.bytes(9, appendFloats(nil, values))
	g.initializers = append(g.initializers, t)
	return name
}

// integers adds a constant of whole numbers, which operators take shapes and axes from.
func (g *onnxGraph) integers(name string, values ...int) string {
	var t message
	t.int(1, int64(len(values)))
	t.int(2, 7) // INT64
	t.text(8, name)
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	t.bytes(9, raw)
	g.initializers = append(g.initializers, t)
	return name
}

// activation adds the nodes that compute a(z), and returns the name of the last.
func (g *onnxGraph) activation(a ir.Activation, name, z string) string {
	switch a {
	case ir.Identity:
		return z
	case ir.Sigmoid:
		return g.node("Sigmoid", name, []string{z})
	case ir.Tanh:
		return g.node("Tanh", name, []string{z})
	case ir.ReLU, ir.Rectify:
		return g.node("Relu", name, []string{z})
	case ir.LeakyReLU:
		return g.node("LeakyRelu", name, []string{z}, attribute{"alpha", float32(0.01)})
	case ir.Softplus:
		return g.node("Softplus", name, []string{z})
	case ir.SiLU:
		return g.node("Mul", name, []string{z, g.node("Sigmoid", g.unique(name+".sigmoid"), []string{z})})
	case ir.GELUTanh: // the operator Gelu came later, with set 20
		number := func(what string, v float32) string { return g.scalar(g.unique(name+"."+what), v) }
		part := func(op, what string, in ...string) string { return g.node(op, g.unique(name+"."+what), in) }
		z3 := part("Mul", "z3", part("Mul", "z2", z, z), z)
		sum := part("Add", "sum", z, part("Mul", "cubic", number("cube", 0.044715), z3))
		tanh := part("Tanh", "tanh", part("Mul", "argument", number("inner", 0.7978845608028654), sum))
		gate := part("Mul", "gate", number("half", 0.5), part("Add", "rise", number("one", 1), tanh))
		return g.node("Mul", name, []string{z, gate})
	case ir.Softsign:
		return g.node("Softsign", name, []string{z})
	}
	panic("unknown activation")
}

func (g *onnxGraph) scalar(name string, v float32) string {
	return g.initializer(name, nil, []float32{v})
}

// proto is the GraphProto.
func (g *onnxGraph) proto(inputs, outputs int) message {
	var p message
	for _, n := range g.nodes {
		p.bytes(1, n)
	}
	p.text(2, g.name)
	for _, t := range g.initializers {
		p.bytes(5, t)
	}
	p.bytes(11, matrix(onnxInput, inputs))
	p.bytes(12, matrix(onnxOutput, outputs))
	return p
}

// matrix is the ValueInfoProto of float32 [N, cols], where N may be anything.
func matrix(name string, cols int) message {
	var n, c, shape, tensor, kind, value message
	n.text(2, "N") // Dimension.dim_param
	c.int(1, int64(cols))
	shape.bytes(1, n)
	shape.bytes(1, c)
	tensor.int(1, 1) // FLOAT
	tensor.bytes(2, shape)
	kind.bytes(1, tensor)
	value.text(1, name)
	value.bytes(2, kind)
	return value
}
