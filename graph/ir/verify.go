package ir

import (
	"fmt"
	"math"
	"slices"
)

// Verify checks every rule that executors rely on and returns the first one
// that is broken, naming the operation. The rules:
//
//   - values have unique names and positive extents; x and y are [B, n];
//   - an operation's code and activation are known, its operands are as many
//     as it takes and were computed before, its result is written only here;
//   - shapes fit the operation's meaning at every batch size that
//     [Program.CheckBatch] passes, and numbers are finite;
//   - layer operations read y only as the targets of losses and their gradients.
//     Where all operations are layer operations, one loss is computed, by one of
//     Xent and Quad, and L2 adds penalties on parameters to it;
//   - the forward operations come first and compute Output and Loss; layer
//     operations that compute gradients come after them;
//   - every parameter has a gradient of its own shape, computed here;
//   - no operation's result is left unused.
func (p *Program) Verify() error {
	v := verifier{p: p}
	for _, check := range []func() error{v.values, v.ops, v.loss, v.results, v.live} {
		if err := check(); err != nil {
			return fmt.Errorf("program %q: %w", p.Name, err)
		}
	}
	return nil
}

type verifier struct{ p *Program }

func (v verifier) known(id ID) bool { return id >= 0 && int(id) < len(v.p.Values) }

func (v verifier) values() error {
	seen := map[string]bool{}
	for i, val := range v.p.Values {
		if val.Name == "" || seen[val.Name] {
			return fmt.Errorf("value %d is called %q: names must be unique and not empty", i, val.Name)
		}
		seen[val.Name] = true
		if s := val.Shape; s.Matrix() && (s.Cols < 1 || s.Rows < 1 && s.Rows != Batch) {
			return fmt.Errorf("value %s has extent %d x %d, want positive ones", val.Name, s.Rows, s.Cols)
		}
		for _, e := range val.Shape.Extents() {
			if e.PerBatch < 0 || e.PerBatch == 0 && e.Fixed < 1 {
				return fmt.Errorf("value %s has shape %v, want positive extents", val.Name, val.Shape)
			}
		}
	}
	for _, at := range []struct {
		what string
		id   ID
	}{{"input", v.p.Input}, {"target", v.p.Target}, {"output", v.p.Output}, {"loss", v.p.Loss}} {
		if !v.known(at.id) {
			return fmt.Errorf("the %s is value %d of %d", at.what, at.id, len(v.p.Values))
		}
	}
	perExample := func(s Shape) bool { return s.Matrix() && s.Rows == Batch }
	if in, t := v.p.Value(v.p.Input), v.p.Value(v.p.Target); !perExample(in.Shape) || !perExample(t.Shape) {
		return fmt.Errorf("x is %s%v and y is %s%v, want one row per example", in.Name, in.Shape, t.Name, t.Shape)
	}
	if v.p.Input == v.p.Target {
		return fmt.Errorf("x and y are both %s", v.p.Value(v.p.Input).Name)
	}
	return nil
}

func (v verifier) ops() error {
	p := v.p
	if p.Forward < 0 || p.Forward > len(p.Ops) {
		return fmt.Errorf("%d forward operations of %d", p.Forward, len(p.Ops))
	}
	defined := make([]bool, len(p.Values))
	defined[p.Input], defined[p.Target] = true, true
	for _, q := range p.Params {
		if !v.known(q.Value) {
			return fmt.Errorf("a parameter is value %d of %d", q.Value, len(p.Values))
		}
		if defined[q.Value] {
			return fmt.Errorf("parameter %s is listed twice or is an input", p.Value(q.Value).Name)
		}
		defined[q.Value] = true
	}
	for i := range p.Ops {
		op := &p.Ops[i]
		fail := func(format string, args ...any) error {
			return fmt.Errorf("operation %d %s: %w", i, op.Code, fmt.Errorf(format, args...))
		}
		if op.Code < Dense || op.Code >= codes {
			return fail("code %d is unknown", op.Code)
		}
		s := &specs[op.Code]
		if n := len(op.Args); n < s.args[0] || s.args[1] >= 0 && n > s.args[1] {
			return fail("%d operands, want %d to %d", n, s.args[0], s.args[1])
		}
		if i < p.Forward && !s.forward {
			return fail("a gradient among the %d forward operations", p.Forward)
		}
		for _, a := range op.Args {
			if !v.known(a) {
				return fail("operand %d of %d values", a, len(p.Values))
			}
			if !defined[a] {
				return fail("%s is read before it is computed", p.Value(a).Name)
			}
		}
		if !v.known(op.Out) {
			return fail("result %d of %d values", op.Out, len(p.Values))
		}
		if defined[op.Out] {
			return fail("%s is written a second time", p.Value(op.Out).Name)
		}
		defined[op.Out] = true
		if s.act && !op.Act.Known() {
			return fail("activation %d is unknown", op.Act)
		}
		if err := op.numbers(); err != nil {
			return fail("%w", err)
		}
		if err := v.shapes(op, s); err != nil {
			return fail("%w", err)
		}
		if !op.Code.Layer() {
			continue
		}
		for k, a := range op.Args {
			if reads := k > 0 && k == s.target; reads != (a == p.Target) {
				return fail("operand %d is %s: the target is read by losses and their gradients, as their second operand, and by nothing else", k, p.Value(a).Name)
			}
		}
	}
	return nil
}

// numbers checks an operation's constants.
func (op *Op) numbers() error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	if !finite(op.Scale) {
		return fmt.Errorf("scale %g, want a finite one", op.Scale)
	}
	for _, x := range append([]float64{op.Value.Fixed, op.Value.PerBatch, op.Value.OverBatch}, op.Data...) {
		if !finite(x) {
			return fmt.Errorf("constant %g, want a finite one", x)
		}
	}
	if op.Code != Random {
		return nil
	}
	a, b := op.Draw[0], op.Draw[1]
	switch op.Fn {
	case FnKeep:
		if !(a > 0 && a <= 1) {
			return fmt.Errorf("probability %g, want one above 0, at most 1", a)
		}
	case FnUniform, FnGauss:
		if !finite(a) || !finite(b) {
			return fmt.Errorf("%s of %g and %g, want finite numbers", op.Fn, a, b)
		}
	default:
		return fmt.Errorf("no distribution %q", op.Fn)
	}
	return nil
}

// shapes compares an operation's shapes with its meaning.
func (v verifier) shapes(op *Op, s *spec) error {
	if s.want == nil {
		// Extents are lines in B, and rules compare extents and their products:
		// what holds at so many sizes holds at all.
		for _, batch := range []int{1009, 1013, 1019, 1021, 1031, 1033} {
			if err := v.p.checkAt(op, batch); err != nil {
				return err
			}
		}
		return nil
	}
	at := func(k int) Shape { return v.p.Value(op.Args[k]).Shape }
	out := v.p.Value(op.Out).Shape
	want := s.want(out, at)
	if op.Code == Dense && len(op.Args) == 2 {
		want = slices.Delete(want, 2, 3)
	}
	if op.Code == L2 && !slices.ContainsFunc(v.p.Params, func(q Param) bool { return q.Value == op.Args[1] }) {
		return fmt.Errorf("%s%v is not a parameter", v.p.Value(op.Args[1]).Name, at(1))
	}
	for k, w := range want {
		name, got := v.p.Value(op.Out).Name, out
		if k < len(op.Args) {
			name, got = v.p.Value(op.Args[k]).Name, at(k)
		}
		if got != w {
			return fmt.Errorf("%s has shape [%d %d], want [%d %d]", name, got.Rows, got.Cols, w.Rows, w.Cols)
		}
	}
	return nil
}

// checkAt holds a tensor operation's shapes to its rule at a batch size.
func (p *Program) checkAt(op *Op, batch int) error {
	var in [][]int
	for _, a := range op.Args {
		in = append(in, p.Values[a].Shape.At(batch))
	}
	out := p.Values[op.Out].Shape.At(batch)
	for _, s := range append(slices.Clone(in), out) {
		for _, d := range s {
			if d < 1 {
				return fmt.Errorf("extents %v at batch %d", s, batch)
			}
		}
	}
	got, err := specs[op.Code].result(op, in, out, batch)
	if err == nil && !slices.Equal(got, out) {
		err = fmt.Errorf("the result is %v, but %s has %v", got, p.Values[op.Out].Name, out)
	}
	if err != nil {
		return fmt.Errorf("at batch %d: %w", batch, err)
	}
	return nil
}

// CheckBatch reports what has no meaning at a batch size: a slice of examples that
// are not there, for instance. The program must verify.
func (p *Program) CheckBatch(batch int) error {
	if batch < 1 {
		return fmt.Errorf("batch %d: want 1 or more", batch)
	}
	for i := range p.Ops {
		if op := &p.Ops[i]; specs[op.Code].result != nil {
			if err := p.checkAt(op, batch); err != nil {
				return fmt.Errorf("program %q: %s %s: %w", p.Name, p.Values[op.Out].Name, op.Code, err)
			}
		}
	}
	return nil
}

// loss checks that exactly one data loss is computed and that what the program
// calls its loss is that one, with all penalties and nothing else added.
func (v verifier) loss() error {
	if !v.p.Layers() {
		return nil
	}
	producer := map[ID]*Op{}
	data, penalties := 0, 0
	for i := range v.p.Ops {
		op := &v.p.Ops[i]
		producer[op.Out] = op
		switch op.Code {
		case Xent, Quad:
			data++
		case L2:
			penalties++
		}
	}
	if data != 1 {
		return fmt.Errorf("%d losses are computed, want one Xent or Quad", data)
	}
	id := v.p.Loss
	for producer[id] != nil && producer[id].Code == L2 {
		id = producer[id].Args[0]
		penalties--
	}
	if op := producer[id]; op == nil || op.Code != Xent && op.Code != Quad {
		return fmt.Errorf("the loss %s is not an Xent or Quad with penalties", v.p.Value(v.p.Loss).Name)
	}
	if penalties != 0 {
		return fmt.Errorf("%d penalties are not part of the loss %s", penalties, v.p.Value(v.p.Loss).Name)
	}
	return nil
}

func (v verifier) results() error {
	p := v.p
	at := map[ID]int{}
	for i, op := range p.Ops {
		at[op.Out] = i
	}
	for _, id := range []ID{p.Output, p.Loss} {
		if i, ok := at[id]; !ok || i >= p.Forward {
			return fmt.Errorf("%s is not computed by the %d forward operations", p.Value(id).Name, p.Forward)
		}
	}
	if s := p.Value(p.Loss).Shape; s != one {
		return fmt.Errorf("the loss has shape %v, want one number", s)
	}
	if out, want := p.Value(p.Output).Shape, p.Value(p.Target).Shape; out != want {
		return fmt.Errorf("the output has shape %v, the target %v", out, want)
	}
	if len(p.Params) == 0 {
		return fmt.Errorf("no parameters")
	}
	for _, q := range p.Params {
		if !v.known(q.Grad) {
			return fmt.Errorf("the gradient of %s is value %d of %d", p.Value(q.Value).Name, q.Grad, len(p.Values))
		}
		w, g := p.Value(q.Value), p.Value(q.Grad)
		if slices.ContainsFunc(w.Shape.Extents(), func(e Extent) bool { return e.PerBatch != 0 }) || w.Shape != g.Shape {
			return fmt.Errorf("parameter %s%v has the gradient %s%v", w.Name, w.Shape, g.Name, g.Shape)
		}
		if i, ok := at[q.Grad]; !ok || i < p.Forward && p.Ops[i].Code.Layer() {
			return fmt.Errorf("%s, the gradient of %s, is not computed after the forward operations", g.Name, w.Name)
		}
	}
	return nil
}

func (v verifier) live() error {
	p := v.p
	used := map[ID]bool{p.Output: true, p.Loss: true}
	for _, q := range p.Params {
		used[q.Grad] = true
	}
	for _, op := range p.Ops {
		for _, a := range op.Args {
			used[a] = true
		}
	}
	for i, op := range p.Ops {
		if !used[op.Out] {
			return fmt.Errorf("operation %d %s: nothing uses %s", i, op.Code, p.Value(op.Out).Name)
		}
	}
	for id, val := range p.Values {
		computed := slices.ContainsFunc(p.Ops, func(op Op) bool { return op.Out == ID(id) })
		given := ID(id) == p.Input || ID(id) == p.Target ||
			slices.ContainsFunc(p.Params, func(q Param) bool { return q.Value == ID(id) })
		if !computed && !given {
			return fmt.Errorf("%s is neither given nor computed", val.Name)
		}
	}
	return nil
}
