// Package fuse proves that a program of tensor operations is one of layer
// operations: dense layers, activations, sums, a known loss.
//
// The forward pass is matched by structure and by normal forms; the backward pass
// is derived from the match by the layer operations' own rules, and each
// parameter's gradient is compared, as a normal form, with what the program
// computes. One difference, and the program stays what it is: slower, but right.
//
// Equal means: in exact arithmetic, where nothing divides by zero, with
// coefficients equal to six digits (graphs hold constants in float32), and for
// targets whose rows sum to one. A layer operation may be finite where what it
// stands for overflows: cross-entropy without the maximum, for instance.
package fuse

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"vanilla/graph/ir"
)

// batches are the sizes at which programs are compared: what holds at both does
// not depend on the size. They lie far apart, so that a factor that grows slowly
// with the size differs by more than is allowed for rounding.
var batches = [2]int{9, 100_003}

// Layers returns the program of layer operations that is equal to p, or an error
// that says what is none. p must verify; it is not changed.
func Layers(p *ir.Program) (*ir.Program, error) {
	var fused [2]*ir.Program
	for i, b := range batches {
		var err error
		if fused[i], err = at(p, b, i == 0); err != nil {
			return nil, err
		}
	}
	first, second := fused[0], fused[1]
	if len(first.Ops) != len(second.Ops) {
		return nil, errors.New("another network at another batch size")
	}
	for i, op := range first.Ops {
		other := second.Ops[i]
		if op.Code != other.Code || op.Act != other.Act || !slices.Equal(op.Args, other.Args) || !near(op.Scale, other.Scale) {
			return nil, fmt.Errorf("%s is %s with factor %g at batch %d, %s with factor %g at batch %d",
				first.Value(op.Out).Name, op.Code, op.Scale, batches[0], other.Code, other.Scale, batches[1])
		}
	}
	if err := first.Verify(); err != nil {
		return nil, err
	}
	return first, nil
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Max(math.Abs(a), math.Abs(b)) }

// at fuses a program as it is at one batch size.
func at(p *ir.Program, batch int, account bool) (*ir.Program, error) {
	n := newNormal(p, batch)
	n.normalize(p.Forward) // gradients' forms are long, and often not needed
	f := newFuser(n)
	if err := f.forwardPass(); err != nil {
		return nil, err
	}
	if err := f.loss(); err != nil {
		return nil, err
	}
	f.q.Forward = len(f.q.Ops)
	n.normalize(len(p.Ops))
	if err := f.gradients(); err != nil {
		return nil, err
	}
	if f.overflow {
		return nil, errors.New("its normal form is too long to be compared")
	}
	if account {
		f.account()
	}
	return f.q, nil
}

type fuser struct {
	*normal
	q     *ir.Program
	value map[ir.ID]ir.ID // from values of p to values of q
	from  map[ir.ID]ir.ID // and back, for the forward pass
	// forms are those of q's values.
	forms map[ir.ID]form
	// read lists the operations of the forward pass that read a value of q.
	read   map[ir.ID][]int
	grad   map[ir.ID]ir.ID // gradients by value of q
	names  map[string]bool
	layers int
	// What the loss was matched to: the gradient of the output, and the factors of
	// parameters' penalties.
	head     *ir.Op
	headForm form
	penalty  []float64
	// failed are values of p that are no layer, activation or sum.
	failed map[ir.ID]error
}

func newFuser(n *normal) *fuser {
	p := n.p
	f := &fuser{normal: n, q: &ir.Program{Name: p.Name, Params: slices.Clone(p.Params)}, value: map[ir.ID]ir.ID{}, from: map[ir.ID]ir.ID{},
		forms: map[ir.ID]form{}, read: map[ir.ID][]int{}, grad: map[ir.ID]ir.ID{}, names: map[string]bool{}, failed: map[ir.ID]error{}}
	given := func(id ir.ID) ir.ID {
		v := f.define(p.Value(id).Name, p.Value(id).Shape, n.form[id])
		f.value[id], f.from[v] = v, id
		return v
	}
	f.q.Input, f.q.Target = given(p.Input), given(p.Target)
	for i := range p.Params {
		f.q.Params[i].Value = given(p.Params[i].Value)
	}
	return f
}

// define adds a value to q under a name that is not taken.
func (f *fuser) define(name string, shape ir.Shape, is form) ir.ID {
	for k, base := 2, name; f.names[name]; k++ {
		name = fmt.Sprintf("%s.%d", base, k)
	}
	f.names[name] = true
	id := ir.ID(len(f.q.Values))
	f.q.Values = append(f.q.Values, ir.Value{Name: name, Shape: shape})
	f.forms[id] = is
	return id
}

func (f *fuser) emit(name string, shape ir.Shape, is form, op ir.Op) ir.ID {
	op.Out = f.define(name, shape, is)
	for _, a := range op.Args {
		f.read[a] = append(f.read[a], len(f.q.Ops))
	}
	f.q.Ops = append(f.q.Ops, op)
	return op.Out
}

func (f *fuser) name(id ir.ID) string { return f.q.Value(id).Name }

// forwardPass matches what leads to the output.
func (f *fuser) forwardPass() error {
	out, err := f.match(f.p.Output)
	if err != nil {
		return err
	}
	f.q.Output = out
	return nil
}

// match finds the layer operations that compute a value of p.
func (f *fuser) match(id ir.ID) (ir.ID, error) {
	if v, ok := f.value[id]; ok {
		return v, nil
	}
	if err, ok := f.failed[id]; ok {
		return 0, err
	}
	v, err := f.matchNew(id)
	if err != nil {
		f.failed[id] = err
		return 0, err
	}
	f.value[id] = v
	if _, known := f.from[v]; !known {
		f.from[v] = id
	}
	return v, nil
}

func (f *fuser) matchNew(id ir.ID) (ir.ID, error) {
	op, shape := f.producer(id), f.p.Value(id).Shape
	fail := func() error {
		if op == nil {
			return fmt.Errorf("%s is used as a value per example", f.p.Value(id).Name)
		}
		return fmt.Errorf("%s is no dense layer, activation or sum of such", f.describe(id))
	}
	if op == nil {
		return 0, fail()
	}
	if l, ok := f.layer(id); ok {
		in, err := f.match(l.in)
		if err != nil {
			return 0, err
		}
		args := []ir.ID{in, f.value[l.weight]}
		if l.bias != none {
			args = append(args, f.value[l.bias])
			f.q.Params[f.paramOf(l.bias)].Bias = true
		}
		f.layers++
		return f.emit("z"+strconv.Itoa(f.layers), shape, f.form[id], ir.Op{Code: ir.Dense, Args: args}), nil
	}
	if op.Code != ir.Map || !shape.Matrix() || shape.Rows != ir.Batch {
		return 0, fail()
	}
	want := f.form[id]
	if !f.linear(want) {
		if v, ok := f.activation(id, want); ok {
			return v, nil
		}
	}
	if op.Fn == ir.FnAdd && f.p.Value(op.Args[0]).Shape == shape && f.p.Value(op.Args[1]).Shape == shape {
		a, err := f.match(op.Args[0])
		if err != nil {
			return 0, err
		}
		b, err := f.match(op.Args[1])
		if err != nil {
			return 0, err
		}
		return f.emit("s", shape, want, ir.Op{Code: ir.Add, Args: []ir.ID{a, b}, Scale: 1}), nil
	}
	return 0, fail()
}

// describe says what a value is, and of which inputs and parameters, nearest
// first.
func (f *fuser) describe(id ir.ID) string {
	op := f.producer(id)
	what := op.Code.String()
	if op.Fn != "" {
		what = string(op.Fn)
	}
	const most = 6
	var names []string
	seen := map[ir.ID]bool{}
	for level := op.Args; len(level) > 0 && len(names) < most; {
		var next []ir.ID
		for _, a := range level {
			if seen[a] {
				continue
			}
			seen[a] = true
			if op := f.producer(a); op != nil {
				next = append(next, op.Args...)
			} else if len(names) < most {
				names = append(names, f.p.Value(a).Name)
			}
		}
		level = next
	}
	return fmt.Sprintf("%s%v (%s of %s)", f.p.Value(id).Name, f.p.Value(id).Shape, what, strings.Join(names, ", "))
}

func (f *fuser) paramOf(id ir.ID) int {
	return slices.IndexFunc(f.p.Params, func(q ir.Param) bool { return q.Value == id })
}

// linear reports whether a form is a sum of layers and inputs, with factors: then
// it is no activation of anything.
func (f *fuser) linear(p form) bool {
	for _, m := range p {
		if len(m.factors) != 1 || m.factors[0].pow != 1 || f.atoms[m.factors[0].atom].kind != "input" {
			return false
		}
	}
	return true
}

// shortArgument is how many terms the argument of an activation may have.
const shortArgument = 40

// activation finds a value of which id is an activation: candidates are what its
// element-wise operations are computed from, nearest first.
func (f *fuser) activation(id ir.ID, want form) (ir.ID, bool) {
	shape := f.p.Value(id).Shape
	for _, z := range f.cone(id) {
		if len(f.form[z]) > shortArgument {
			continue
		}
		for i := range activations {
			act := &activations[i]
			if !equal(act.value(&f.algebra, f.form[z]), want) {
				continue
			}
			in, err := f.match(z)
			if err != nil {
				break
			}
			if act.act == ir.Identity {
				return in, true
			}
			name := "h"
			if n := f.name(in); n[0] == 'z' {
				name += n[1:]
			}
			return f.emit(name, shape, want, ir.Op{Code: ir.Act, Act: act.act, Args: []ir.ID{in}}), true
		}
	}
	return 0, false
}
