package ir

import (
	"fmt"
	"strings"
)

// Code says what an operation computes. The comments are the specification:
// a value's shape stands after its name, B is the batch size, s the
// operation's Scale, f its activation. kernels/ref computes exactly this.
//
// There are two levels. The tensor operations, from Const on, are what any graph
// is lowered to, node by node. The layer operations before them are what dense
// layers, activations and losses are fused to; every executor is fast with those.
// A program may hold both.
type Code uint8

const (
	// Dense  z[B,n] = a[B,m] · w[n,m]ᵀ + b[1,n]
	//
	// A layer's weighted sums. The bias is optional: Args are a, w or a, w, b.
	Dense Code = iota + 1

	// Act  h[B,n] = f(z[B,n])
	//
	// The activation, element by element.
	Act

	// Add  c = a + s·b
	//
	// Element by element; a, b and c have one shape. Skip connections, sums of
	// gradients that meet at a value, and decay written into the loss.
	Add

	// Xent  l = s/B · Σ_i −log softmax(z_i)[y_i]   for z[B,k], y[B,k]
	//
	// Softmax cross-entropy, computed from the logits without overflow: the
	// row's maximum is subtracted first. Rows of y are one-hot.
	Xent

	// DXent  dz[B,k] = s/B · (softmax(z[B,k]) − y[B,k])
	//
	// The gradient of Xent. It has this form only because each row of y sums
	// to one.
	DXent

	// Quad  l = s/B · Σ_i Σ_j (a_ij − y_ij)²   for a[B,k], y[B,k]
	//
	// The lesson's quadratic cost: a sum over outputs, a mean over the batch.
	Quad

	// DQuad  da[B,k] = 2s/B · (a[B,k] − y[B,k])
	//
	// The gradient of Quad.
	DQuad

	// L2  l = l₀ + s/2 · Σ w²
	//
	// A penalty on one parameter that the graph's loss contains. (The
	// optimizer's weight decay is not in the program.)
	L2

	// DInput  da[B,m] = dz[B,n] · w[n,m]
	//
	// Dense's gradient in its input.
	DInput

	// DWeight  dw[n,m] = dz[B,n]ᵀ · a[B,m]
	//
	// Dense's gradient in its weights, summed over the batch (the mean's 1/B
	// is in dz already).
	DWeight

	// DBias  db[1,n] = Σ_i dz_i   for dz[B,n]
	//
	// Dense's gradient in its bias.
	DBias

	// DAct  dz[B,n] = dh[B,n] ⊙ f′(z[B,n])
	//
	// Act's gradient. Args are dh, z. Where Act computed h = f(z) from this z,
	// an executor may use h instead: sigmoid′(z) = h(1−h).
	DAct

	// Const  c = v
	//
	// A number, Value, in every element; or Data, one number for each.
	Const

	// Map  c = fn(a)   or   c = fn(a, b)
	//
	// Element by element. Operands have the result's shape or one element, which
	// is repeated.
	Map

	// MatMul  c[.., m,n] = a[.., m,k] · b[.., k,n]
	//
	// TransA and TransB say that the last two axes of an operand are exchanged.
	// The axes before are the same in all three.
	MatMul

	// Reduce  c = fn of a over Axes
	//
	// Sum or max. The axes keep extent 1.
	Reduce

	// Reshape  c = a
	//
	// The same elements in the same order, with other axes.
	Reshape

	// Transpose  c[i_p0, i_p1, ..] = a[i_0, i_1, ..]   with p = Axes
	Transpose

	// Repeat  c = a   along Axes[0]
	//
	// The axis has extent 1 in a, any in c.
	Repeat

	// Slice  c[.., i, ..] = a[.., from + i·step, ..]   along Axes[0]
	//
	// Ints are from, to and step: as many elements as stay below to.
	Slice

	// Unslice  c[.., from + i·step, ..] = a[.., i, ..]   along Axes[0]
	//
	// The gradient of Slice: zero elsewhere.
	Unslice

	// Concat  c = operands one after the other along Axes[0]
	Concat

	// Random  c_e = fn(Draw; seed, step, operation, e)
	//
	// A function of the variant's seed, the step, which of the program's Random
	// operations this is, and the element; no state. In evaluation every element
	// is the mean: 1 for keep, so dropout is the identity.
	Random

	// Im2Col  c[b, oh, ow, ch·kh·kw] = windows of a[b, ch, h, w]
	//
	// Ints are kernel, padding, stride and dilation, each of height and width.
	// Outside the image is zero.
	Im2Col

	// Col2Im  c[b, ch, h, w] = Σ of the elements of a[b, oh, ow, ch·kh·kw] that Im2Col read from there
	//
	// The gradient of Im2Col, with the same Ints.
	Col2Im

	// MaxPool  c[b, ch, oh, ow] = largest of each window of a[b, ch, h, w]
	//
	// Ints are kernel, padding and stride, each of height and width.
	MaxPool

	// MaxPoolGrad  c[b, ch, h, w] = Σ of the elements of d[b, ch, oh, ow] whose window is largest here
	//
	// Args are a, MaxPool's operand, and d. Of equals in a window the first one
	// receives.
	MaxPoolGrad

	codes
)

// Number is a constant that may depend on the batch size: Fixed + PerBatch·B +
// OverBatch/B.
type Number struct{ Fixed, PerBatch, OverBatch float64 }

// At is the number at a batch size.
func (n Number) At(batch int) float64 {
	v := n.Fixed
	if n.PerBatch != 0 {
		v += n.PerBatch * float64(batch)
	}
	if n.OverBatch != 0 {
		v += n.OverBatch / float64(batch)
	}
	return v
}

// String is the operation's name in listings.
func (c Code) String() string {
	if c >= Dense && c < codes {
		return specs[c].name
	}
	return "unknown"
}

// Layer reports whether c is one of the layer operations.
func (c Code) Layer() bool { return c >= Dense && c < Const }

func (op Op) code() Code { return op.Code }

// Kinds counts operations by their codes: "3 dense, 2 act".
func Kinds[O interface{ code() Code }](ops []O) string {
	count := map[Code]int{}
	var codes []Code
	for _, op := range ops {
		if count[op.code()]++; count[op.code()] == 1 {
			codes = append(codes, op.code())
		}
	}
	var parts []string
	for _, c := range codes {
		parts = append(parts, fmt.Sprintf("%d %s", count[c], c))
	}
	return strings.Join(parts, ", ")
}
