package fuse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/fuse"
	"vanilla/graph/ir"
	"vanilla/graph/samples"
	"vanilla/kernels/ref"
)

// fused are the samples that become layer operations.
func fused(t *testing.T) []*graph.Network {
	t.Helper()
	var all []*graph.Network
	for _, n := range samples.Lowered(t, tensor.Float64) {
		if n.Unfused() == nil {
			all = append(all, n)
		}
	}
	return all
}

// batch is another size than those at which programs are compared.
const batch = 7

// tolerance allows for constants that graphs hold in float32, and for comparing
// coefficients to six digits.
const tolerance = 1e-5

// results runs a program in float64 on random parameters of the given size. Both
// programs of a pair draw the same.
func results(p *ir.Program, seed uint64, size float64) *ref.Interpreter[float64] {
	r := rand.New(rand.NewPCG(seed, 3))
	in := ref.NewInterpreter[float64](p)
	for _, q := range p.Params {
		for k := range in.Values[q.Value] {
			in.Values[q.Value][k] = size * r.NormFloat64()
		}
	}
	x, labels := make([]float64, batch*p.Features()), make([]byte, batch)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	for i := range labels {
		labels[i] = byte(r.IntN(p.Classes()))
	}
	in.Run(x, labels)
	return in
}

// differ compares loss, output and gradients of two programs with the same
// parameters. It reports where they differ, and whether the first one overflows.
func differ(p, q *ir.Program, seed uint64, size float64) (where string, overflow bool) {
	a, b := results(p, seed, size), results(q, seed, size)
	largest := 0.0
	for _, w := range p.Params {
		for _, v := range a.Values[w.Grad] {
			overflow = overflow || math.IsNaN(v) || math.IsInf(v, 0)
			largest = math.Max(largest, math.Abs(v))
		}
	}
	compare := func(what string, u, v []float64, top float64) {
		for k := range u {
			top = math.Max(top, math.Abs(u[k]))
		}
		for k := range u {
			if d := math.Abs(u[k] - v[k]); !(d <= tolerance*top) && where == "" {
				where = fmt.Sprintf("%s: %g and %g", what, u[k], v[k])
			}
		}
	}
	l := a.Values[p.Loss][0]
	overflow = overflow || math.IsNaN(l) || math.IsInf(l, 0)
	compare("loss", a.Values[p.Loss], b.Values[q.Loss], 0)
	compare("output", a.Values[p.Output], b.Values[q.Output], 0)
	for i := range p.Params {
		compare("gradient of "+p.Value(p.Params[i].Value).Name, a.Values[p.Params[i].Grad], b.Values[q.Params[i].Grad], largest)
	}
	return where, overflow
}

// sizes are those of the parameters in comparisons.
var sizes = []float64{0.3, 3}

// What is fused is equal to what it was fused from.
func TestLayersAreEqual(t *testing.T) {
	all := fused(t)
	for _, n := range all {
		for _, size := range sizes {
			if where, _ := differ(n.Tensor, n.Program, 5, size); where != "" {
				t.Errorf("%s, parameters of size %g: %s", n.Program.Name, size, where)
			}
		}
	}
	if len(all) < 40 {
		t.Errorf("%d samples fuse, want more than 40", len(all))
	}
}

// mutantsIn says how many mutants TestMutants makes: 2,000 by default.
const mutantsIn = "VANILLA_MUTANTS"

// Single changes to programs that fuse: a mutant that computes something else must
// not become a program that it does not equal.
func TestMutants(t *testing.T) {
	want := 2000
	if s := os.Getenv(mutantsIn); s != "" {
		var err error
		if want, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if testing.Short() {
		want = 200
	}
	all := fused(t)
	random := rand.New(rand.NewPCG(11, 12))
	made, kept, equal, overflowed, wrong := 0, 0, 0, 0, 0
	for made < want {
		n := all[random.IntN(len(all))]
		m, what := mutate(n.Tensor, random)
		if m == nil || m.Verify() != nil {
			continue
		}
		made++
		p, err := fuse.Layers(m)
		if err != nil {
			kept++
			continue
		}
		bad, overflow := "", false
		for _, size := range sizes {
			where, over := differ(m, p, 6, size)
			overflow = overflow || over
			if bad == "" {
				bad = where
			}
		}
		switch {
		case bad != "" && overflow: // a layer operation may be finite where the mutant is not
			overflowed++
		case bad != "":
			wrong++
			t.Errorf("%s, %s: fused, and differs in %s", n.Program.Name, what, bad)
		default:
			equal++
		}
	}
	t.Logf("%d mutants of %d programs: %d stay tensor operations, %d fuse and are equal, %d fuse where the mutant itself overflows, %d fuse and differ",
		made, len(all), kept, equal, overflowed, wrong)
	if kept < made/2 || equal == 0 {
		t.Errorf("of %d mutants %d are kept and %d fuse: the mutations say nothing", made, kept, equal)
	}
}

// mutate changes one operation of a copy of p.
func mutate(p *ir.Program, random *rand.Rand) (*ir.Program, string) {
	q := *p
	q.Values, q.Ops, q.Params = slices.Clone(p.Values), slices.Clone(p.Ops), slices.Clone(p.Params)
	i := random.IntN(len(q.Ops))
	op := &q.Ops[i]
	op.Args = slices.Clone(op.Args)
	before := op.Code.String() + " " + string(op.Fn)
	shape := func(id ir.ID) ir.Shape { return p.Value(id).Shape }
	switch kind := random.IntN(4); {
	case op.Code == ir.Map && kind > 0:
		fns := []ir.Fn{ir.FnAdd, ir.FnSub, ir.FnMul, ir.FnDiv, ir.FnGe, ir.FnGt, ir.FnLt, ir.FnMax, ir.FnMin}
		if len(op.Args) == 1 {
			fns = []ir.Fn{ir.FnNeg, ir.FnTanh, ir.FnSigmoid, ir.FnExp, ir.FnLn, ir.FnSquare, ir.FnAbs, ir.FnSoftplus, ir.FnSign}
		}
		fn := fns[random.IntN(len(fns))]
		if fn == op.Fn {
			return nil, ""
		}
		op.Fn = fn
	case op.Code == ir.Const && op.Data == nil:
		factor := []float64{1.001, 0.999, -1, 2, 1.0001, 0.5}[random.IntN(6)]
		op.Value = ir.Number{Fixed: factor * op.Value.Fixed, PerBatch: factor * op.Value.PerBatch, OverBatch: factor * op.Value.OverBatch}
		if op.Value == p.Ops[i].Value {
			return nil, ""
		}
	case op.Code == ir.Reduce:
		op.Fn = map[ir.Fn]ir.Fn{ir.FnSum: ir.FnMax, ir.FnMax: ir.FnSum}[op.Fn]
	case op.Code == ir.MatMul && kind > 1:
		op.TransB = !op.TransB
	case kind == 0 && random.IntN(3) == 0: // another value as a result
		k := random.IntN(len(q.Params) + 1)
		old := q.Loss
		if k < len(q.Params) {
			old = q.Params[k].Grad
		}
		if shape(op.Out) != shape(old) || op.Out == old {
			return nil, ""
		}
		if k < len(q.Params) {
			q.Params[k].Grad = op.Out
		} else {
			q.Loss = op.Out
		}
	default: // another value as an operand
		if len(op.Args) == 0 {
			return nil, ""
		}
		k := random.IntN(len(op.Args))
		var same []ir.ID
		for id := range p.Values {
			defined := ir.ID(id) == p.Input || ir.ID(id) == p.Target || slices.ContainsFunc(p.Params, func(w ir.Param) bool { return w.Value == ir.ID(id) }) ||
				slices.ContainsFunc(p.Ops[:i], func(o ir.Op) bool { return o.Out == ir.ID(id) })
			if defined && ir.ID(id) != op.Args[k] && shape(ir.ID(id)) == shape(op.Args[k]) {
				same = append(same, ir.ID(id))
			}
		}
		if len(same) == 0 {
			return nil, ""
		}
		op.Args[k] = same[random.IntN(len(same))]
	}
	q.Prune()
	return &q, fmt.Sprintf("operation %d %s became %s %s%v", i, before, op.Code, op.Fn, op.Args)
}
