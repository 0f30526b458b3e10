package export

import (
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

// ONNX writes a chain of layers in the Open Neural Network Exchange format, with operators of set 13. Its input is pixels
// [N, inputs], float32 from 0 to 1 for any N, its output probabilities [N, outputs]: the softmax of the last layer for a
// network trained with cross-entropy, and its sigmoids, which do not sum to 1, for the quadratic cost. The initializers
// are called as in the model file. The file's metadata are the model file's.
//
// It fails if the network is not a chain, for an activation or loss that vanilla does not know, and beyond the 2 GiB that
// a protocol buffer can hold. Source: onnx.proto3 of https://github.com/onnx/onnx
func ONNX(m *model.Model) ([]byte, error) {
	layers, err := m.Layers()
	if err != nil {
		return nil, err
	}
	activation, err := ir.ParseActivation(m.Activation)
	if err != nil {
		return nil, err
	}
	var output ir.Activation // none for the softmax
	switch m.Loss {
	case "cross-entropy":
	case "quadratic":
		output = ir.Sigmoid
	default:
		return nil, fmt.Errorf("loss %.60q: expected cross-entropy or quadratic, which say what the outputs mean", m.Loss)
	}

	g := &onnxGraph{name: m.Arch}
	names := m.Names()
	x := onnxInput
	for k, l := range layers {
		weight, bias := names[2*k], names[2*k+1]
		g.initializer(weight, []int{l.Out, l.In}, l.Weight)
		g.initializer(bias, []int{l.Out}, l.Bias)
		name := strconv.Itoa(k + 1)
		x = g.node("Gemm", "layer"+name, []string{x, weight, bias}, attribute{"transB", 1})
		if k < len(layers)-1 {
			x = g.activation(activation, "hidden"+name, x)
		}
	}
	if output == ir.Sigmoid {
		g.node("Sigmoid", onnxOutput, []string{x})
	} else {
		g.node("Softmax", onnxOutput, []string{x}, attribute{"axis", 1})
	}

	classes := ""
	if m.Classes != nil {
		names, err := json.Marshal(m.Classes)
		if err != nil {
			return nil, err
		}
		classes = string(names)
	}
	var file message // ModelProto
	file.int(1, onnxVersion)
	file.text(2, "vanilla")
	file.text(3, m.Version)
	file.bytes(7, g.proto(layers[0].In, layers[len(layers)-1].Out))
	var opset message // OperatorSetIdProto of the standard operators, whose domain is ""
	opset.text(1, "")
	opset.int(2, onnxOpset)
	file.bytes(8, opset)
	for _, property := range [][2]string{
		{"vanilla", m.Version},
		{"arch", m.Arch},
		{"activation", m.Activation},
		{"loss", m.Loss},
		{"seed", strconv.FormatUint(m.Seed, 10)},
		{"test_accuracy", strconv.FormatFloat(m.TestAccuracy, 'g', -1, 64)},
		{"recipe", string(m.Recipe)},
		{"classes", classes},
		{"data", string(m.Data)},
	} {
		if optional := property[0] == "classes" || property[0] == "data"; optional && property[1] == "" {
			continue
		}
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

// onnxGraph collects a network's nodes, each after those that it reads, and its constants.
type onnxGraph struct {
	name         string
	nodes        []message // NodeProto
	initializers []message // TensorProto
}

// attribute is a constant of a node: a float32, or an int.
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
		return g.node("Mul", name, []string{z, g.node("Sigmoid", name+".sigmoid", []string{z})})
	case ir.GELUTanh: // the operator Gelu came later, with set 20
		half, one := g.scalar(name+".half", 0.5), g.scalar(name+".one", 1)
		inner, cube := g.scalar(name+".inner", 0.7978845608028654), g.scalar(name+".cube", 0.044715)
		z2 := g.node("Mul", name+".z2", []string{z, z})
		z3 := g.node("Mul", name+".z3", []string{z2, z})
		sum := g.node("Add", name+".sum", []string{z, g.node("Mul", name+".cubic", []string{cube, z3})})
		tanh := g.node("Tanh", name+".tanh", []string{g.node("Mul", name+".argument", []string{inner, sum})})
		gate := g.node("Mul", name+".gate", []string{half, g.node("Add", name+".rise", []string{one, tanh})})
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
