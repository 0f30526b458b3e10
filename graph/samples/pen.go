package samples

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"vanilla/graph"
)

// Step is one call of the pen. The list of a graph's steps is what peers/pytorch.py
// replays with PyTorch's own functions.
type Step struct {
	Op     string    `json:"op"`
	Args   []int     `json:"args,omitempty"` // earlier steps
	Ints   []int     `json:"ints,omitempty"`
	Floats []float64 `json:"floats,omitempty"`
}

// pen writes a graph with Gorgonia's functions and keeps what it called. It
// panics where Gorgonia returns an error: graph.Builder's callers recover.
type pen struct {
	g     *graph.Graph
	dtype tensor.Dtype
	batch int
	x, y  *node
	steps []Step
	// output and loss are steps.
	output, loss int
	params       []int
}

// node is a node with the number of its step.
type node struct {
	*gorgonia.Node
	step int
}

func newPen(dtype tensor.Dtype, batch, features, classes int) *pen {
	e := gorgonia.NewGraph()
	p := &pen{g: &graph.Graph{Expr: e}, dtype: dtype, batch: batch}
	p.g.X = gorgonia.NewMatrix(e, dtype, gorgonia.WithShape(batch, features), gorgonia.WithName("x"))
	p.g.Y = gorgonia.NewMatrix(e, dtype, gorgonia.WithShape(batch, classes), gorgonia.WithName("y"))
	p.x = p.note("x", p.g.X)
	p.y = p.note("y", p.g.Y)
	return p
}

func (p *pen) note(op string, n *gorgonia.Node, args ...*node) *node {
	s := Step{Op: op}
	for _, a := range args {
		s.Args = append(s.Args, a.step)
	}
	p.steps = append(p.steps, s)
	return &node{n, len(p.steps) - 1}
}

func (n *node) ints(p *pen, v ...int) *node {
	p.steps[n.step].Ints = v
	return n
}

func (n *node) floats(p *pen, v ...float64) *node {
	p.steps[n.step].Floats = v
	return n
}

func must(n *gorgonia.Node, err error) *gorgonia.Node {
	if err != nil {
		panic(err)
	}
	return n
}

// param is a trained tensor of any rank.
func (p *pen) param(name string, shape ...int) *node {
	var n *gorgonia.Node
	switch len(shape) {
	case 0:
		n = gorgonia.NewScalar(p.g.Expr, p.dtype, gorgonia.WithName(name))
	case 1:
		n = gorgonia.NewVector(p.g.Expr, p.dtype, gorgonia.WithShape(shape...), gorgonia.WithName(name))
	case 2:
		n = gorgonia.NewMatrix(p.g.Expr, p.dtype, gorgonia.WithShape(shape...), gorgonia.WithName(name))
	default:
		n = gorgonia.NewTensor(p.g.Expr, p.dtype, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
	}
	p.g.Params = append(p.g.Params, n)
	w := p.note("param", n).ints(p, shape...)
	p.params = append(p.params, w.step)
	return w
}

// frozen is a tensor that the graph holds and does not train.
func (p *pen) frozen(name string, v []float64, shape ...int) *node {
	n := gorgonia.NewTensor(p.g.Expr, p.dtype, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name),
		gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(p.backing(v)))))
	return p.note("frozen", n).ints(p, shape...).floats(p, v...)
}

func (p *pen) backing(v []float64) any {
	if p.dtype == tensor.Float64 {
		return slices.Clone(v)
	}
	f := make([]float32, len(v))
	for i := range v {
		f[i] = float32(v[i])
	}
	return f
}

// number is a constant.
func (p *pen) number(v float64) *node {
	n := gorgonia.NewConstant(v)
	if p.dtype == tensor.Float32 {
		n = gorgonia.NewConstant(float32(v))
	}
	return p.note("number", n).floats(p, v)
}

// unary is a function of one operand by its name in the steps.
var unaries = map[string]func(*gorgonia.Node) (*gorgonia.Node, error){
	"tanh": gorgonia.Tanh, "sigmoid": gorgonia.Sigmoid, "rectify": gorgonia.Rectify, "softplus": gorgonia.Softplus,
	"exp": gorgonia.Exp, "log": gorgonia.Log, "sqrt": gorgonia.Sqrt, "square": gorgonia.Square, "cube": gorgonia.Cube,
	"neg": gorgonia.Neg, "abs": gorgonia.Abs, "sin": gorgonia.Sin, "cos": gorgonia.Cos, "inverse": gorgonia.Inverse,
	"log1p": gorgonia.Log1p, "expm1": gorgonia.Expm1, "log2": gorgonia.Log2, "inversesqrt": gorgonia.InverseSqrt,
	"mish": gorgonia.Mish,
}

func (p *pen) f(name string, a *node) *node { return p.note(name, must(unaries[name](a.Node)), a) }

func (p *pen) tanh(a *node) *node    { return p.f("tanh", a) }
func (p *pen) sigmoid(a *node) *node { return p.f("sigmoid", a) }
func (p *pen) rectify(a *node) *node { return p.f("rectify", a) }
func (p *pen) square(a *node) *node  { return p.f("square", a) }
func (p *pen) neg(a *node) *node     { return p.f("neg", a) }

var binaries = map[string]func(a, b *gorgonia.Node) (*gorgonia.Node, error){
	"matmul": gorgonia.Mul, "add": gorgonia.Add, "sub": gorgonia.Sub, "mul": gorgonia.HadamardProd, "div": gorgonia.HadamardDiv,
	"pow": gorgonia.Pow, "min": gorgonia.MinBetween, "max": gorgonia.MaxBetween, "outer": gorgonia.OuterProd,
	"bmm": func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.BatchedMatMul(a, b) },
	"gt":  func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Gt(a, b, true) },
	"gte": func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Gte(a, b, true) },
	"lt":  func(a, b *gorgonia.Node) (*gorgonia.Node, error) { return gorgonia.Lt(a, b, true) },
}

func (p *pen) do(name string, a, b *node) *node {
	return p.note(name, must(binaries[name](a.Node, b.Node)), a, b)
}

func (p *pen) matmul(a, b *node) *node { return p.do("matmul", a, b) }
func (p *pen) add(a, b *node) *node    { return p.do("add", a, b) }
func (p *pen) sub(a, b *node) *node    { return p.do("sub", a, b) }
func (p *pen) mul(a, b *node) *node    { return p.do("mul", a, b) }
func (p *pen) div(a, b *node) *node    { return p.do("div", a, b) }

// times is c·a.
func (p *pen) times(c float64, a *node) *node { return p.mul(p.number(c), a) }

// plus is a + c.
func (p *pen) plus(a *node, c float64) *node { return p.add(a, p.number(c)) }

var broadcasts = map[string]func(a, b *gorgonia.Node, left, right []byte) (*gorgonia.Node, error){
	"add": gorgonia.BroadcastAdd, "sub": gorgonia.BroadcastSub, "mul": gorgonia.BroadcastHadamardProd, "div": gorgonia.BroadcastHadamardDiv,
}

// along combines a with b, which is repeated along one axis of a.
func (p *pen) along(name string, axis int, a, b *node) *node {
	return p.note("along "+name, must(broadcasts[name](a.Node, b.Node, nil, []byte{byte(axis)})), a, b).ints(p, axis)
}

// everywhere combines a with b, which is repeated along several axes.
func (p *pen) everywhere(name string, a, b *node, axes ...int) *node {
	var pattern []byte
	for _, axis := range axes {
		pattern = append(pattern, byte(axis))
	}
	return p.note("everywhere "+name, must(broadcasts[name](a.Node, b.Node, nil, pattern)), a, b)
}

func (p *pen) sum(a *node, axes ...int) *node {
	return p.note("sum", must(gorgonia.Sum(a.Node, axes...)), a).ints(p, axes...)
}

func (p *pen) mean(a *node, axes ...int) *node {
	return p.note("mean", must(gorgonia.Mean(a.Node, axes...)), a).ints(p, axes...)
}

func (p *pen) largest(a *node, axes ...int) *node {
	return p.note("amax", must(gorgonia.Max(a.Node, axes...)), a).ints(p, axes...)
}

func (p *pen) softmax(a *node, axis ...int) *node {
	return p.note("softmax", must(gorgonia.SoftMax(a.Node, axis...)), a).ints(p, axis...)
}

func (p *pen) logsoftmax(a *node) *node {
	return p.note("logsoftmax", must(gorgonia.LogSoftMax(a.Node)), a)
}

func (p *pen) leaky(a *node, slope float64) *node {
	return p.note("leaky", must(gorgonia.LeakyRelu(a.Node, slope)), a).floats(p, slope)
}

func (p *pen) dropout(a *node, drop float64) *node {
	return p.note("dropout", must(gorgonia.Dropout(a.Node, drop)), a).floats(p, drop)
}

// noise is Gaussian, one number for each example and column.
func (p *pen) noise(deviation float64, cols int) *node {
	n := gorgonia.GaussianRandomNode(p.g.Expr, p.dtype, 0, deviation, p.batch, cols)
	return p.note("noise", n).ints(p, cols).floats(p, deviation)
}

func (p *pen) transpose(a *node, axes ...int) *node {
	return p.note("transpose", must(gorgonia.Transpose(a.Node, axes...)), a).ints(p, axes...)
}

// reshape takes -1 for the batch, in front.
func (p *pen) reshape(a *node, shape ...int) *node {
	to := slices.Clone(shape)
	if to[0] == -1 {
		to[0] = p.batch
	}
	return p.note("reshape", must(gorgonia.Reshape(a.Node, tensor.Shape(to))), a).ints(p, shape...)
}

// cols are columns from to to, by step.
func (p *pen) cols(a *node, from, to, step int) *node {
	return p.note("cols", must(gorgonia.Slice(a.Node, nil, gorgonia.S(from, to, step))), a).ints(p, from, to, step)
}

// col is one column, a vector.
func (p *pen) col(a *node, at int) *node {
	return p.note("col", must(gorgonia.Slice(a.Node, nil, gorgonia.S(at))), a).ints(p, at)
}

func (p *pen) rows(a *node, from, to int) *node {
	return p.note("rows", must(gorgonia.Slice(a.Node, gorgonia.S(from, to))), a).ints(p, from, to)
}

// concat puts columns side by side.
func (p *pen) concat(all ...*node) *node {
	var nodes []*gorgonia.Node
	for _, n := range all {
		nodes = append(nodes, n.Node)
	}
	return p.note("concat", must(gorgonia.Concat(1, nodes...)), all...).ints(p, 1)
}

// conv is a convolution with square strides, padding and dilation.
func (p *pen) conv(im, filter *node, pad, stride, dilation int) *node {
	s := filter.Shape()
	n := must(gorgonia.Conv2d(im.Node, filter.Node, tensor.Shape{s[2], s[3]}, []int{pad, pad}, []int{stride, stride}, []int{dilation, dilation}))
	return p.note("conv", n, im, filter).ints(p, pad, stride, dilation)
}

// maxpool is of windows of 2 x 2.
func (p *pen) maxpool(im *node, pad, stride int) *node {
	const kernel = 2
	n := must(gorgonia.MaxPool2D(im.Node, tensor.Shape{kernel, kernel}, []int{pad, pad}, []int{stride, stride}))
	return p.note("maxpool", n, im).ints(p, kernel, pad, stride)
}

// convolved is a convolution with a bias for each filter, a rectifier and a pool of
// 2 x 2.
func (p *pen) convolved(im *node, name string, filters, size, pad int) *node {
	h := p.conv(im, p.param("F"+name, filters, im.Shape()[1], size, size), pad, 1, 1)
	h = p.relu(p.everywhere("add", h, p.param("c"+name, 1, filters, 1, 1), 0, 2, 3))
	return p.maxpool(h, 0, 2)
}

// linear is a·W with a weight of its own.
func (p *pen) linear(a *node, name string, out int) *node {
	return p.matmul(a, p.param("W"+name, a.Shape()[1], out))
}

// dense is a·W + b.
func (p *pen) dense(a *node, name string, out int) *node {
	z := p.linear(a, name, out)
	return p.along("add", 0, z, p.param("b"+name, out))
}

// relu has slope 0 at 0.
func (p *pen) relu(a *node) *node { return p.mul(a, p.do("gt", a, p.number(0))) }

// atMost is the smaller of a and c.
func (p *pen) atMost(a *node, c float64) *node {
	return p.sub(p.number(c), p.relu(p.sub(p.number(c), a)))
}

// hidden is a tanh layer of five units on x: where most samples begin.
func (p *pen) hidden() *node { return p.tanh(p.dense(p.x, "1", 5)) }

// logits ends a network: a dense layer with cross-entropy.
func (p *pen) logits(h *node) *node { return p.xent(p.dense(h, "out", Classes)) }

// likelihood is Σ_j y_j log softmax(z)_j of each example.
func (p *pen) likelihood(z *node) *node { return p.sum(p.mul(p.y, p.logsoftmax(z)), 1) }

func (p *pen) crossEntropy(z *node) *node { return p.neg(p.mean(p.likelihood(z))) }

// quadratic is the lesson's cost.
func (p *pen) quadratic(a *node) *node { return p.mean(p.sum(p.square(p.sub(a, p.y)), 1)) }

func (p *pen) xent(z *node) *node { return p.end(z, p.crossEntropy(z)) }
func (p *pen) quad(a *node) *node { return p.end(a, p.quadratic(a)) }

// end says what the graph is about.
func (p *pen) end(output, loss *node) *node {
	p.g.Output, p.g.Loss = output.Node, loss.Node
	p.output, p.loss = output.step, loss.step
	return loss
}

// also adds c·term to the loss.
func (p *pen) also(c float64, term *node) {
	loss := p.add(&node{p.g.Loss, p.loss}, p.times(c, term))
	p.g.Loss, p.loss = loss.Node, loss.step
}

func name(format string, args ...any) string { return fmt.Sprintf(format, args...) }
