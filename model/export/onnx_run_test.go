package export

import (
	"math"
	"slices"
	"testing"
)

// array is a value of an ONNX graph; whole numbers and booleans are numbers too.
type array struct {
	shape []int
	data  []float64
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func zeros(shape ...int) array { return array{slices.Clone(shape), make([]float64, product(shape))} }

// each visits the indexes of a shape, row-major.
func each(shape []int, visit func(k int, at []int)) {
	at := make([]int, len(shape))
	for k := range product(shape) {
		visit(k, at)
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if at[axis]++; at[axis] < shape[axis] {
				break
			}
			at[axis] = 0
		}
	}
}

// at is an element by its index, aligned at the last axis; axes of extent 1 are repeated.
func (a array) at(index []int) float64 {
	k := 0
	index = index[len(index)-len(a.shape):]
	for axis, x := range index {
		if a.shape[axis] == 1 {
			x = 0
		}
		k = k*a.shape[axis] + x
	}
	return a.data[k]
}

// broadcast is the shape that arrays are repeated to, from the last axis on.
func broadcast(t *testing.T, all ...array) []int {
	t.Helper()
	var shape []int
	for _, a := range all {
		for len(shape) < len(a.shape) {
			shape = slices.Insert(shape, 0, 1)
		}
		for k, d := range a.shape {
			switch to := &shape[len(shape)-len(a.shape)+k]; {
			case *to == 1:
				*to = d
			case d != 1 && d != *to:
				t.Fatalf("no shape for %v and %v", shape, a.shape)
			}
		}
	}
	return shape
}

var unaryMeanings = map[string]func(z float64) float64{
	"Sigmoid": func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }, "Tanh": math.Tanh, "Relu": func(z float64) float64 { return math.Max(z, 0) },
	"Softplus": func(z float64) float64 { return math.Log1p(math.Exp(z)) }, "Softsign": func(z float64) float64 { return z / (1 + math.Abs(z)) },
	"Abs": math.Abs, "Ceil": math.Ceil, "Floor": math.Floor, "Sin": math.Sin, "Cos": math.Cos, "Exp": math.Exp, "Log": math.Log,
	"Neg": func(z float64) float64 { return -z }, "Sqrt": math.Sqrt, "Reciprocal": func(z float64) float64 { return 1 / z }, "Atanh": math.Atanh,
	"Sign": func(z float64) float64 { return truth(z > 0) - truth(z < 0) }, "Not": func(z float64) float64 { return 1 - z },
	"Identity": func(z float64) float64 { return z }, "Cast": func(z float64) float64 { return z },
}

var binaryMeanings = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return a * b }, "Div": func(a, b float64) float64 { return a / b },
	"Pow": math.Pow, "Max": math.Max, "Min": math.Min,
	"Greater": func(a, b float64) float64 { return truth(a > b) }, "GreaterOrEqual": func(a, b float64) float64 { return truth(a >= b) },
	"Less": func(a, b float64) float64 { return truth(a < b) }, "LessOrEqual": func(a, b float64) float64 { return truth(a <= b) },
	"Equal": func(a, b float64) float64 { return truth(a == b) },
}

func truth(t bool) float64 {
	if t {
		return 1
	}
	return 0
}

// run interprets the graph for pixels [N, inputs] as the operators' specification has it, in float64. A value is used
// only after the node that makes it.
func (o *onnxFile) run(t *testing.T, pixels array) array {
	t.Helper()
	values := map[string]array{"pixels": pixels}
	for name, c := range o.constants {
		a := array{shape: c.shape}
		for _, v := range c.values {
			a.data = append(a.data, float64(v))
		}
		for _, v := range c.whole {
			a.data = append(a.data, float64(v))
		}
		if len(a.data) != product(a.shape) {
			t.Fatalf("%s has %d values, shape %v", name, len(a.data), a.shape)
		}
		values[name] = a
	}
	for _, n := range o.nodes {
		var args []array
		for _, input := range n.inputs {
			v, ok := values[input]
			if !ok {
				t.Fatalf("%s reads %s, which no node before it makes", n.op, input)
			}
			args = append(args, v)
		}
		if _, twice := values[n.output[0]]; twice || len(n.output) != 1 {
			t.Fatalf("%s makes %v, want one value that nothing else makes", n.op, n.output)
		}
		values[n.output[0]] = n.meaning(t, args)
	}
	return values["probabilities"]
}

// meaning is a node's result.
func (n node) meaning(t *testing.T, args []array) array {
	t.Helper()
	attribute := func(name string, k int, otherwise float64) int {
		if v := n.attributes[name]; k < len(v) {
			return int(v[k])
		}
		return int(otherwise)
	}
	whole := func(k int) (all []int) {
		for _, v := range args[k].data {
			all = append(all, int(v))
		}
		return all
	}
	a := args[0]
	if f := unaryMeanings[n.op]; f != nil {
		out := zeros(a.shape...)
		for i, v := range a.data {
			out.data[i] = f(v)
		}
		return out
	}
	if f := binaryMeanings[n.op]; f != nil {
		out := zeros(broadcast(t, args...)...)
		each(out.shape, func(k int, at []int) { out.data[k] = f(a.at(at), args[1].at(at)) })
		return out
	}
	switch n.op {
	case "LeakyRelu":
		out := zeros(a.shape...)
		for i, v := range a.data {
			if out.data[i] = v; v < 0 {
				out.data[i] = v * n.attributes["alpha"][0]
			}
		}
		return out
	case "Where":
		out := zeros(broadcast(t, args...)...)
		each(out.shape, func(k int, at []int) {
			if out.data[k] = args[2].at(at); a.at(at) != 0 {
				out.data[k] = args[1].at(at)
			}
		})
		return out
	case "Gemm", "MatMul":
		return n.multiplied(t, args)
	case "Softmax":
		if len(a.shape) != 2 || attribute("axis", 0, -1) != 1 {
			t.Fatalf("Softmax of %v over axis %d", a.shape, attribute("axis", 0, -1))
		}
		out := zeros(a.shape...)
		for i := 0; i < len(a.data); i += a.shape[1] {
			row, sum := a.data[i:i+a.shape[1]], 0.
			for _, z := range row {
				sum += math.Exp(z - slices.Max(row))
			}
			for j, z := range row {
				out.data[i+j] = math.Exp(z-slices.Max(row)) / sum
			}
		}
		return out
	case "ReduceSum", "ReduceMax":
		var axes []int
		if n.op == "ReduceSum" {
			axes = whole(1)
		} else {
			for _, v := range n.attributes["axes"] {
				axes = append(axes, int(v))
			}
		}
		out := zeros(a.shape...)
		for _, x := range axes {
			out.shape[x] = 1
		}
		out = zeros(out.shape...)
		seen := make([]bool, len(out.data))
		each(a.shape, func(k int, at []int) {
			to := 0
			for axis, x := range at {
				to = to*out.shape[axis] + min(x, out.shape[axis]-1)
			}
			if v := a.data[k]; n.op == "ReduceSum" || !seen[to] {
				out.data[to] += v
			} else {
				out.data[to] = math.Max(out.data[to], v)
			}
			seen[to] = true
		})
		return out
	case "Reshape":
		shape := whole(1)
		if k := slices.Index(shape, -1); k >= 0 {
			shape[k] = -len(a.data) / product(shape)
		}
		if product(shape) != len(a.data) || slices.Contains(shape, 0) {
			t.Fatalf("Reshape of %v to %v", a.shape, shape)
		}
		return array{shape, a.data}
	case "Expand":
		out := zeros(broadcast(t, a, zeros(whole(1)...))...)
		each(out.shape, func(k int, at []int) { out.data[k] = a.at(at) })
		return out
	case "Transpose":
		perm := n.attributes["perm"]
		var shape []int
		for _, of := range perm {
			shape = append(shape, a.shape[int(of)])
		}
		out := zeros(shape...)
		each(shape, func(k int, at []int) {
			from := make([]int, len(at))
			for axis, of := range perm {
				from[int(of)] = at[axis]
			}
			out.data[k] = a.at(from)
		})
		return out
	case "Slice":
		from, to, axis, step := whole(1)[0], whole(2)[0], whole(3)[0], whole(4)[0]
		shape := slices.Clone(a.shape)
		shape[axis] = (to - from + step - 1) / step
		out := zeros(shape...)
		each(shape, func(k int, at []int) {
			at = slices.Clone(at)
			at[axis] = from + at[axis]*step
			out.data[k] = a.at(at)
		})
		return out
	case "Concat":
		axis, shape := attribute("axis", 0, 0), slices.Clone(a.shape)
		shape[axis] = 0
		for _, b := range args {
			shape[axis] += b.shape[axis]
		}
		out := zeros(shape...)
		each(shape, func(k int, at []int) {
			at = slices.Clone(at)
			for _, b := range args {
				if at[axis] < b.shape[axis] {
					out.data[k] = b.at(at)
					return
				}
				at[axis] -= b.shape[axis]
			}
		})
		return out
	case "Shape":
		out := zeros(len(a.shape))
		for k, d := range a.shape {
			out.data[k] = float64(d)
		}
		return out
	case "Gather":
		return array{[]int{1}, []float64{a.data[whole(1)[0]]}}
	case "Squeeze":
		return array{[]int{}, a.data}
	case "Conv", "MaxPool":
		return n.windows(t, args, attribute)
	}
	t.Fatalf("no operator is called %s", n.op)
	return array{}
}

// multiplied is a product of matrices, with a bias or without.
func (n node) multiplied(t *testing.T, args []array) array {
	t.Helper()
	a, b := args[0], args[1]
	r := len(a.shape) - 2
	swapped := func(m array, name string) array {
		if n.attributes[name] == nil {
			return m
		}
		out := zeros(m.shape[1], m.shape[0])
		each(out.shape, func(k int, at []int) { out.data[k] = m.at([]int{at[1], at[0]}) })
		return out
	}
	a, b = swapped(a, "transA"), swapped(b, "transB")
	if r < 0 || len(b.shape) != len(a.shape) || !slices.Equal(a.shape[:r], b.shape[:r]) || a.shape[r+1] != b.shape[r] || n.op == "Gemm" && r != 0 {
		t.Fatalf("%s of %v and %v", n.op, a.shape, b.shape)
	}
	shape := slices.Clone(a.shape)
	shape[r+1] = b.shape[r+1]
	out := zeros(shape...)
	each(shape, func(k int, at []int) {
		i, j := slices.Clone(at), slices.Clone(at)
		for inner := range a.shape[r+1] {
			i[r+1], j[r] = inner, inner
			out.data[k] += a.at(i) * b.at(j)
		}
		if len(args) == 3 {
			out.data[k] += args[2].at(at)
		}
	})
	return out
}

// windows is a convolution or the largest of windows.
func (n node) windows(t *testing.T, args []array, attribute func(name string, k int, otherwise float64) int) array {
	t.Helper()
	image := args[0]
	var kernel, before, after, stride, dilation [2]int
	for k := range 2 {
		kernel[k], stride[k], dilation[k] = attribute("kernel_shape", k, 0), attribute("strides", k, 1), attribute("dilations", k, 1)
		before[k], after[k] = attribute("pads", k, 0), attribute("pads", k+2, 0)
	}
	extent := func(k int) int {
		return (image.shape[2+k]+before[k]+after[k]-(kernel[k]-1)*dilation[k]-1)/stride[k] + 1
	}
	channels, groups := image.shape[1], attribute("group", 0, 1)
	if n.op == "Conv" {
		channels = args[1].shape[0]
		if args[1].shape[1]*groups != image.shape[1] || args[1].shape[2] != kernel[0] || args[1].shape[3] != kernel[1] {
			t.Fatalf("Conv of %v with %v in %d groups", image.shape, args[1].shape, groups)
		}
	}
	out := zeros(image.shape[0], channels, extent(0), extent(1))
	each(out.shape, func(k int, at []int) {
		if n.op == "MaxPool" {
			out.data[k] = math.Inf(-1)
		}
		for dy := range kernel[0] {
			for dx := range kernel[1] {
				y, x := at[2]*stride[0]-before[0]+dy*dilation[0], at[3]*stride[1]-before[1]+dx*dilation[1]
				if y < 0 || x < 0 || y >= image.shape[2] || x >= image.shape[3] {
					continue
				}
				if n.op == "MaxPool" {
					out.data[k] = math.Max(out.data[k], image.at([]int{at[0], at[1], y, x}))
					continue
				}
				own := args[1].shape[1]
				for c := range own {
					from := at[1]/(channels/groups)*own + c
					out.data[k] += args[1].at([]int{at[1], c, dy, dx}) * image.at([]int{at[0], from, y, x})
				}
			}
		}
	})
	return out
}
