package ir

// Code says what an operation computes. The comments are the specification:
// a value's shape stands behind its name, B is the batch size, s the
// operation's Scale, f its activation. kernels/ref computes exactly this.
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
)

// spec is what the listing and the verifier know of an operation.
type spec struct {
	name     string
	synopsis string // "%0".. operands, "%f" activation, "%s" scale, "%d" its double
	args     [2]int // fewest and most operands
	forward  bool
}

func (c Code) spec() (spec, bool) {
	switch c {
	case Dense:
		return spec{"dense", "%0·%1ᵀ + %2", [2]int{2, 3}, true}, true
	case Act:
		return spec{"act", "%f(%0)", [2]int{1, 1}, true}, true
	case Add:
		return spec{"add", "%0 + %s·%1", [2]int{2, 2}, true}, true
	case Xent:
		return spec{"xent", "%s/B Σ −log softmax(%0)[%1]", [2]int{2, 2}, true}, true
	case Quad:
		return spec{"quad", "%s/B Σ (%0 − %1)²", [2]int{2, 2}, true}, true
	case L2:
		return spec{"l2", "%0 + %s/2 Σ %1²", [2]int{2, 2}, true}, true
	case DXent:
		return spec{"dxent", "%s/B (softmax(%0) − %1)", [2]int{2, 2}, false}, true
	case DQuad:
		return spec{"dquad", "%d/B (%0 − %1)", [2]int{2, 2}, false}, true
	case DInput:
		return spec{"dinput", "%0·%1", [2]int{2, 2}, false}, true
	case DWeight:
		return spec{"dweight", "%0ᵀ·%1", [2]int{2, 2}, false}, true
	case DBias:
		return spec{"dbias", "Σᵢ %0", [2]int{1, 1}, false}, true
	case DAct:
		return spec{"dact", "%0 ⊙ %f′(%1)", [2]int{2, 2}, false}, true
	}
	return spec{}, false
}

// String is the operation's name in listings.
func (c Code) String() string {
	if s, ok := c.spec(); ok {
		return s.name
	}
	return "unknown"
}
