package graph

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gorgonia.org/gorgonia"

	"vanilla/graph/ir"
)

// lowerer lowers one node.
type lowerer struct {
	*reading
	gn    *gorgonia.Node
	n     *node
	op    gorgonia.Op
	args  []int // steps
	first int   // the first of the node's steps
}

// unaries are Gorgonia's functions of one operand by the names it prints. Those
// that it differentiates wrongly are not among them, see misdifferentiated.
var unaries = map[string]ir.Fn{
	"abs": ir.FnAbs, "sign": ir.FnSign, "ceil": ir.FnCeil, "floor": ir.FnFloor, "sin": ir.FnSin, "cos": ir.FnCos, "exp": ir.FnExp,
	"ln": ir.FnLn, "neg": ir.FnNeg, "square": ir.FnSquare, "sqrt": ir.FnSqrt, "inv": ir.FnInv, "cube": ir.FnCube, "tanh": ir.FnTanh,
	"sigmoid": ir.FnSigmoid, "log1p": ir.FnLog1p, "expm1": ir.FnExpm1, "softplus": ir.FnSoftplus,
}

// misdifferentiated are functions whose gradient in Gorgonia v0.9.18 is another
// function's, with what to write instead.
var misdifferentiated = map[string]string{
	"log2":    "Gorgonia differentiates log2 to x/ln 2, and it is 1/(x ln 2): write ln(x) times 1/ln 2",
	"invSqrt": "Gorgonia differentiates invSqrt to 1/(2y³), and it is -y³/2: write Inverse(Sqrt(x))",
}

var binaries = map[string]ir.Fn{
	"+": ir.FnAdd, "-": ir.FnSub, "⊙": ir.FnMul, "÷": ir.FnDiv, "^": ir.FnPow,
	"<": ir.FnLt, ">": ir.FnGt, "<=": ir.FnLe, ">=": ir.FnGe, "==": ir.FnEq, "!=": ir.FnNe,
}

// unsupported are operations without a meaning here, with what would be right.
var unsupported = map[string]string{
	"BatchNormOp":         "its running statistics are state that is neither parameter nor result: write the norm with Mean, Square and Sqrt, which normalises by the batch at hand",
	"avgPoolOp":           "Gorgonia divides by the image's width and not by the window's area: write a convolution with a frozen filter, or a reshape and Mean",
	"upsampleOp":          "write a reshape, a broadcast and a reshape",
	"byIndicesOp":         "integer inputs are not there: multiply by one-hot rows",
	"sparsemaxOp":         "its gradient has no tensor operations here: write SoftMax",
	"tensordotOp":         "write Transpose, Reshape and Mul",
	"globalAveragePoolOp": "Gorgonia cannot differentiate it: write Reshape and Mean",
	"GroupNormOp":         "write the norm with Reshape, Mean, Square and Sqrt",
}

// kindOf is the type of an operation of Gorgonia.
func kindOf(op gorgonia.Op) string {
	return strings.TrimPrefix(strings.TrimPrefix(reflect.TypeOf(op).String(), "*"), "gorgonia.")
}

// kindNames are what people call operations whose printed form is no word.
var kindNames = map[string]string{
	"sliceOp": "slice", "sliceIncrOp": "gradient of a slice", "randomOp": "random numbers", "BatchNormOp": "batch norm", "batchnormDiffOp": "gradient of a batch norm", "GroupNormOp": "group norm", "globalAveragePoolOp": "global average pool",
	"avgPoolOp": "average pool", "avgPoolDiffOp": "gradient of an average pool", "maxPoolOp": "max pool", "maxPoolDiffOp": "gradient of a max pool", "upsampleOp": "upsampling",
	"byIndicesOp": "rows by their indexes", "sparsemaxOp": "sparsemax", "tensordotOp": "tensor dot product", "sumOp": "sum", "maxOp": "max", "linAlgBinOp": "product",
	"reshapeOp": "reshape", "repeatOp": "repeat", "transposeOp": "transpose", "concatOp": "concat", "atOp": "element", "im2colOp": "im2col", "col2imOp": "col2im",
	"softmaxOp": "softmax", "softmaxDiffOp": "gradient of a softmax", "dropoutOp": "dropout", "dropoutDiffOp": "gradient of a dropout", "sizeOp": "size",
}

var reNumbers = regexp.MustCompile(`-?\d+`)

// numbers are the whole numbers in an operation's printed form.
func numbers(s string) []int {
	var out []int
	for _, m := range reNumbers.FindAllString(s, -1) {
		v, _ := strconv.Atoi(m)
		out = append(out, v)
	}
	return out
}

func (l *lowerer) shape(k int) []int { return l.steps[k].shape }

func (l *lowerer) in(i int) []int { return l.shape(l.args[i]) }

func (l *lowerer) fn(f ir.Fn, shape []int, args ...int) int {
	return l.emit(step{op: ir.Op{Code: ir.Map, Fn: f}, args: args, shape: slices.Clone(shape)})
}

func (l *lowerer) constant(v float64) int {
	return l.emit(step{op: ir.Op{Code: ir.Const, Value: ir.Number{Fixed: v}}, shape: []int{}})
}

func (l *lowerer) reduce(f ir.Fn, a int, axes ...int) int {
	s := slices.Clone(l.shape(a))
	for _, x := range axes {
		s[x] = 1
	}
	return l.emit(step{op: ir.Op{Code: ir.Reduce, Fn: f, Axes: axes}, args: []int{a}, shape: s})
}

func (l *lowerer) reshape(a int, shape []int) int {
	if slices.Equal(l.shape(a), shape) {
		return a
	}
	return l.emit(step{op: ir.Op{Code: ir.Reshape}, args: []int{a}, shape: slices.Clone(shape)})
}

// repeat makes extent 1 along an axis to n.
func (l *lowerer) repeat(a, axis, n int) int {
	s := slices.Clone(l.shape(a))
	if s[axis] == n {
		return a
	}
	s[axis] = n
	return l.emit(step{op: ir.Op{Code: ir.Repeat, Axes: []int{axis}}, args: []int{a}, shape: s})
}

func fixed(v ...int) []ir.Extent {
	e := make([]ir.Extent, len(v))
	for i := range v {
		e[i] = ir.Fixed(v[i])
	}
	return e
}

// lower emits the node's steps and returns the one that holds its value.
func (l *lowerer) lower() (int, error) {
	shape := l.n.shape
	if l.op == nil { // an input that is neither x, y nor a parameter: frozen
		if l.gn.Value() == nil {
			return 0, fmt.Errorf("the loss depends on the input %s%v, which is neither X nor Y: is it missing in Params? (What is not trained needs a value: WithValue.)", l.n.name, l.n.shape)
		}
		l.note(l.n.several(true), "inputs of one name and shape")
		return l.tensor()
	}
	s := l.op.String()
	kind := kindOf(l.op)
	switch kind {
	case "constantScalar", "constantTensor":
		l.named()
		return l.tensor()
	case "sizeOp":
		axis := int(field(l.op, "axis").Int())
		if a := l.n.args[0].shape; axis < len(a) {
			return l.constant(float64(a[axis])), nil
		}
		return l.constant(1), nil
	case "elemUnaryOp":
		if instead, wrong := misdifferentiated[s]; wrong {
			return 0, fmt.Errorf("%s", instead)
		}
		if f, ok := unaries[s]; ok {
			return l.fn(f, shape, l.args...), nil
		}
	case "elemBinOp":
		name, same, _ := strings.Cut(s, " ")
		if strings.ContainsAny(name, "<>=!") && same != "true" {
			return 0, fmt.Errorf("a comparison that gives booleans: ask for numbers (retSame true)")
		}
		if f, ok := binaries[name]; ok {
			return l.binary(f)
		}
	case "maxBetween":
		return l.fn(ir.FnMax, shape, l.args...), nil
	case "minBetween":
		return l.fn(ir.FnMin, shape, l.args...), nil
	case "linAlgBinOp":
		return l.product()
	case "sumOp", "maxOp":
		axes := numbers(s)
		if len(l.in(0)) == 0 || len(axes) == 0 {
			return l.args[0], nil
		}
		f := ir.FnSum
		if kind == "maxOp" {
			f = ir.FnMax
		}
		return l.reshape(l.reduce(f, l.args[0], axes...), shape), nil
	case "softmaxOp":
		return l.softmax(strings.Contains(s, "true")), nil
	case "softmaxDiffOp":
		return l.softmaxGradient(strings.Contains(s, "true")), nil
	case "reshapeOp":
		return l.reshape(l.args[0], shape), nil
	case "repeatOp":
		return l.repeated()
	case "transposeOp":
		return l.emit(step{op: ir.Op{Code: ir.Transpose, Axes: numbers(s)}, args: l.args, shape: slices.Clone(shape)}), nil
	case "concatOp":
		return l.emit(step{op: ir.Op{Code: ir.Concat, Axes: numbers(s)}, args: l.args, shape: slices.Clone(shape)}), nil
	case "sliceOp", "sliceIncrOp":
		return l.slice(s, kind == "sliceOp")
	case "atOp":
		a := l.args[0]
		for axis, k := range numbers(s) {
			part := slices.Clone(l.shape(a))
			part[axis] = 1
			a = l.emit(step{op: ir.Op{Code: ir.Slice, Axes: []int{axis}, Ints: fixed(k, k+1, 1)}, args: []int{a}, shape: part})
		}
		return l.reshape(a, shape), nil
	case "randomOp":
		return l.random()
	case "dropoutOp":
		return l.dropout(), nil
	case "dropoutDiffOp":
		return l.dropoutGradient()
	case "im2colOp", "col2imOp":
		var v []int
		for _, name := range []string{"h", "w", "padH", "padW", "strideH", "strideW", "dilationH", "dilationW"} {
			v = append(v, int(field(l.op, name).Int()))
		}
		strides := v[4] > 1 || v[5] > 1 // without them another dilation has another shape
		l.note(kind == "im2colOp" && strides && l.n.several(false), "im2col of one image whatever the dilation")
		code := ir.Im2Col
		if kind == "col2imOp" {
			code = ir.Col2Im
		}
		return l.emit(step{op: ir.Op{Code: code, Ints: fixed(v...)}, args: l.args, shape: slices.Clone(shape)}), nil
	case "maxPoolOp", "maxPoolDiffOp":
		return l.pool(kind == "maxPoolDiffOp")
	}
	return 0, fmt.Errorf("no tensor operations are known for Gorgonia's %s: write it with those that are, as products, maps, sums and views", kind)
}

// tensor is what the graph holds: a number or an array.
func (l *lowerer) tensor() (int, error) {
	v, err := floats(l.gn.Value())
	if err != nil {
		return 0, err
	}
	if len(l.n.shape) == 0 && len(v) == 1 {
		l.n.value, l.n.number = v[0], true
		return l.constant(v[0]), nil
	}
	return l.emit(step{op: ir.Op{Code: ir.Const, Data: v}, shape: slices.Clone(l.n.shape)}), nil
}

// named notes a constant of a name that another value could have too: one that the user
// gave, or the printed form of a tensor, which leaves out the middle of a long one.
func (l *lowerer) named() {
	v := l.gn.Value()
	_, number := v.(gorgonia.Scalar)
	l.note((!number || l.n.name != fmt.Sprint(v)) && l.n.several(true), "constants of one name, and tensors that print alike,")
}

func (l *lowerer) binary(f ir.Fn) (int, error) {
	for i := range l.args {
		if k := ir.Elements(l.in(i)); k != 1 && k != ir.Elements(l.n.shape) {
			return 0, fmt.Errorf("operand %v for a result %v", l.in(i), l.n.shape)
		}
	}
	args := slices.Clone(l.args)
	for i, a := range args { // [n] beside [n,1]
		if ir.Elements(l.shape(a)) == ir.Elements(l.n.shape) && ir.Elements(l.shape(a)) != 1 {
			args[i] = l.reshape(a, l.n.shape)
		}
	}
	return l.fn(f, l.n.shape, args...), nil
}

// product lowers all products of matrices and vectors to MatMul.
func (l *lowerer) product() (int, error) {
	ta, tb := field(l.op, "transA").Bool(), field(l.op, "transB").Bool()
	a, b := l.args[0], l.args[1]
	switch int(field(l.op, "āBinaryOperator").Uint()) {
	case 1: // matrix · vector
		b, tb = l.reshape(b, []int{ir.Elements(l.in(1)), 1}), false
	case 2: // vector · vector
		a, b, ta, tb = l.reshape(a, []int{1, ir.Elements(l.in(0))}), l.reshape(b, []int{ir.Elements(l.in(1)), 1}), false, false
	case 3: // outer product
		a, b, ta, tb = l.reshape(a, []int{ir.Elements(l.in(0)), 1}), l.reshape(b, []int{1, ir.Elements(l.in(1))}), false, false
	}
	sa, sb := slices.Clone(l.shape(a)), l.shape(b)
	if len(sa) < 2 || len(sa) != len(sb) {
		return 0, fmt.Errorf("a product of %v and %v", sa, sb)
	}
	r := len(sa) - 2
	if ta {
		sa[r] = sa[r+1]
	}
	sa[r+1] = sb[r+1]
	if tb {
		sa[r+1] = sb[r]
	}
	return l.emit(step{op: ir.Op{Code: ir.MatMul, TransA: ta, TransB: tb}, args: []int{a, b}, shape: sa}), nil
}

// softmaxAxis is the axis of a softmax or of its gradient.
func (l *lowerer) softmaxAxis(rank int) int {
	axis := int(field(l.op, "axis").Int())
	if axis < 0 {
		axis = rank - 1
	}
	return axis
}

// softmax lowers to max, subtract, exp, sum and divide: the definition. (Gorgonia's
// own takes the maximum from the wrong elements.)
func (l *lowerer) softmax(logarithm bool) int {
	l.note(l.n.several(false), "SoftMax and LogSoftMax of one value")
	a := l.args[0]
	s := l.shape(a)
	axis := l.softmaxAxis(len(s))
	w := s[axis]
	z := l.fn(ir.FnSub, s, a, l.repeat(l.reduce(ir.FnMax, a, axis), axis, w))
	e := l.fn(ir.FnExp, s, z)
	total := l.reduce(ir.FnSum, e, axis)
	if !logarithm {
		return l.fn(ir.FnDiv, s, e, l.repeat(total, axis, w))
	}
	return l.fn(ir.FnSub, s, z, l.repeat(l.fn(ir.FnLn, l.shape(total), total), axis, w))
}

// softmaxGradient has the softmax's operand, its result and the result's gradient.
func (l *lowerer) softmaxGradient(logarithm bool) int {
	y, g := l.args[1], l.args[2]
	s := l.shape(l.args[0])
	axis := l.softmaxAxis(len(s))
	w := s[axis]
	if logarithm {
		total := l.repeat(l.reduce(ir.FnSum, g, axis), axis, w)
		return l.fn(ir.FnSub, s, g, l.fn(ir.FnMul, s, l.fn(ir.FnExp, s, y), total))
	}
	total := l.repeat(l.reduce(ir.FnSum, l.fn(ir.FnMul, s, y, g), axis), axis, w)
	return l.fn(ir.FnMul, s, y, l.fn(ir.FnSub, s, g, total))
}

// repeated lowers Gorgonia's Repeat, of any extent and of scalars.
func (l *lowerer) repeated() (int, error) {
	axis := int(field(l.op, "along").Int())
	times, ok := l.steps[l.args[1]].number()
	if !ok {
		return 0, fmt.Errorf("repeats a number of times that is computed")
	}
	a, n := l.args[0], int(times)
	for len(l.shape(a)) <= axis { // a scalar or a vector grows an axis
		a = l.reshape(a, append(slices.Clone(l.shape(a)), 1))
	}
	s := slices.Clone(l.shape(a))
	if s[axis] == 1 {
		return l.repeat(a, axis, n), nil
	}
	// every element n times in succession
	a = l.repeat(l.reshape(a, slices.Insert(slices.Clone(s), axis+1, 1)), axis+1, n)
	s[axis] *= n
	return l.reshape(a, s), nil
}

// sliceBounds is how many bounds of slices Gorgonia's hash tells apart.
const sliceBounds = 256

func (l *lowerer) slice(printed string, forward bool) (int, error) {
	axis := int(field(l.op, "along").Int())
	of := l.in(0)
	from, to, by := 0, of[axis], 1
	if !strings.Contains(printed, ":...") { // not all
		v := numbers(printed)
		from, to, by = v[0], v[1], max(1, v[2])
	}
	// Bounds of batches are beyond 255 where the batch is.
	if other := from-sliceBounds >= 0 || to+sliceBounds <= of[axis]; forward && other && l.batch == batches[0] && l.n.several(false) {
		return 0, fmt.Errorf("a slice %d:%d of %d, of which more than one thing is computed: Gorgonia makes slices of one value whose bounds are equal modulo %d one node, so beyond 255 it may be two: Reshape the value so that no axis is longer, or multiply by a frozen matrix of zeros and ones",
			from, to, of[axis], sliceBounds)
	}
	if n, left := (to-from)/by, (to-from)%by; n > 0 && left > 0 {
		return 0, fmt.Errorf("a slice %d:%d by %d: Gorgonia infers %d numbers, and its machine takes %d: end it at %d, or multiply by a frozen matrix of zeros and ones", from, to, by, n, n+1, to-left)
	}
	s := slices.Clone(of)
	s[axis] = (to - from + by - 1) / by
	op := ir.Op{Axes: []int{axis}, Ints: fixed(from, to, by)}
	if forward {
		op.Code = ir.Slice
		return l.reshape(l.emit(step{op: op, args: l.args, shape: s}), l.n.shape), nil
	}
	g := l.args[1]
	if ir.Elements(l.shape(g)) != ir.Elements(s) {
		return 0, fmt.Errorf("a gradient %v of a slice %v", l.shape(g), s)
	}
	op.Code = ir.Unslice
	return l.emit(step{op: op, args: []int{l.reshape(g, s)}, shape: slices.Clone(of)}), nil
}

func (l *lowerer) random() (int, error) {
	a, b := field(l.op, "a").Float(), field(l.op, "b").Float()
	op := ir.Op{Code: ir.Random, Draw: [2]float64{a, b}}
	switch which := field(l.op, "which").Uint(); which {
	case 0:
		op.Fn = ir.FnUniform
	case 1:
		op.Fn = ir.FnGauss
	default:
		return 0, fmt.Errorf("numbers of a binomial distribution are not there: Dropout draws masks")
	}
	l.note(l.n.several(false), "random nodes of one kind, shape and parameters")
	return l.emit(step{op: op, shape: slices.Clone(l.n.shape)}), nil
}

// note says of a node that it may be several of the user's.
func (l *lowerer) note(several bool, what string) {
	if several {
		l.notes = append(l.notes, l.describe(l.n)+": more than one thing is computed from it: note that Gorgonia makes "+what+" one node")
	}
}

// dropout multiplies by a mask of 0 and 1/(1-p).
func (l *lowerer) dropout() int {
	drop := field(l.op, "probability").Float()
	if drop == 0 || !field(l.op, "isTraining").Bool() {
		return l.args[0]
	}
	l.note(l.n.several(false), "Dropouts of one value, whatever their probabilities,")
	mask := l.emit(step{op: ir.Op{Code: ir.Random, Fn: ir.FnKeep, Draw: [2]float64{1 - drop, 0}}, shape: slices.Clone(l.n.shape)})
	l.masks[l.n.id] = mask
	return l.fn(ir.FnMul, l.n.shape, l.args[0], mask)
}

// dropoutGradient has dropout's operand, its result and the result's gradient.
// Gorgonia divides by p where it should by 1-p; this is the right gradient.
func (l *lowerer) dropoutGradient() (int, error) {
	if len(l.n.args) != 3 {
		return 0, fmt.Errorf("%d operands, want 3", len(l.n.args))
	}
	mask, ok := l.masks[l.n.args[1].id]
	if !ok {
		return l.args[2], nil
	}
	return l.fn(ir.FnMul, l.n.shape, l.args[2], mask), nil
}

func (l *lowerer) pool(gradient bool) (int, error) {
	f := func(name string) int {
		if gradient {
			return int(field(l.op, "maxPoolOp", name).Int())
		}
		return int(field(l.op, name).Int())
	}
	padH, padW := f("padNorth"), f("padWest")
	if padH != f("padSouth") || padW != f("padEast") {
		return 0, fmt.Errorf("padding that is not the same on both sides")
	}
	op := ir.Op{Code: ir.MaxPool, Ints: fixed(f("h"), f("w"), padH, padW, f("strideH"), f("strideW"))}
	args := l.args
	if gradient { // the image, what was pooled, its gradient
		op.Code, args = ir.MaxPoolGrad, []int{l.args[0], l.args[2]}
	}
	return l.emit(step{op: op, args: args, shape: slices.Clone(l.n.shape)}), nil
}
