package fuse

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
)

// gradients derives each parameter's gradient from the matched forward pass and
// compares it with the program's own.
func (f *fuser) gradients() error {
	for i := len(f.q.Params) - 1; i >= 0; i-- { // from the output back
		q := &f.q.Params[i]
		grad, err := f.parameter(i)
		if err != nil {
			return err
		}
		q.Grad = grad
		if own := f.p.Params[i].Grad; !equal(f.forms[grad], f.form[own]) {
			return fmt.Errorf("the graph's gradient of %s is another than that of the layers", f.name(q.Value))
		}
	}
	return nil
}

// parameter is the gradient of parameter i: the sum over its uses, and of its
// penalty.
func (f *fuser) parameter(i int) (ir.ID, error) {
	w := f.q.Params[i].Value
	shape, name, grad := f.q.Value(w).Shape, "d"+f.name(w), none
	for _, k := range slices.Backward(slices.Compact(slices.Clone(f.read[w]))) {
		op := f.q.Ops[k]
		if op.Code != ir.Dense {
			continue
		}
		dz, err := f.gradient(op.Out)
		if err != nil {
			return 0, err
		}
		d := f.forms[dz]
		if op.Args[1] == w {
			in := op.Args[0]
			swap := func(x int) int { return 1 - x }
			is := f.product(rename(d, swap), rename(f.forms[in], swap), f.batch)
			grad = f.addTo(grad, f.emit(name, shape, is, ir.Op{Code: ir.DWeight, Args: []ir.ID{dz, in}}))
		}
		if len(op.Args) == 3 && op.Args[2] == w {
			grad = f.addTo(grad, f.emit(name, shape, f.total(d, 0, f.batch), ir.Op{Code: ir.DBias, Args: []ir.ID{dz}}))
		}
	}
	if grad == none {
		return 0, fmt.Errorf("parameter %s is no weight or bias of a dense layer", f.name(w))
	}
	if c := f.penalty[i]; c != 0 {
		grad = f.emit(name, shape, sum(f.forms[grad], f.forms[w], c), ir.Op{Code: ir.Add, Args: []ir.ID{grad, w}, Scale: exact(c)})
	}
	return grad, nil
}

// addTo is the sum of two gradients, of which the first may be none.
func (f *fuser) addTo(a, b ir.ID) ir.ID {
	if a == none {
		return b
	}
	return f.emit(f.name(a), f.q.Value(a).Shape, sum(f.forms[a], f.forms[b], 1), ir.Op{Code: ir.Add, Args: []ir.ID{a, b}, Scale: 1})
}

// gradient is that of a value per example: the sum over what reads it.
func (f *fuser) gradient(id ir.ID) (ir.ID, error) {
	if d, ok := f.grad[id]; ok {
		return d, nil
	}
	shape, name, grad := f.q.Value(id).Shape, "d"+f.name(id), none
	if id == f.q.Output {
		grad = f.emit(name, shape, f.headForm, *f.head)
	}
	for _, k := range slices.Backward(f.read[id]) {
		if k >= f.q.Forward {
			continue
		}
		op := f.q.Ops[k]
		for j, a := range op.Args {
			if a != id || op.Code != ir.Dense && op.Code != ir.Act && op.Code != ir.Add || op.Code == ir.Dense && j > 0 {
				continue
			}
			if j > 0 && op.Args[0] == id && op.Code == ir.Add {
				// The value is added to itself: read has the operation twice.
				continue
			}
			d, err := f.gradient(op.Out)
			if err != nil {
				return 0, err
			}
			switch op.Code {
			case ir.Dense:
				w := op.Args[1]
				swapped := rename(f.forms[w], func(x int) int { return 1 - x })
				is := f.product(f.forms[d], swapped, f.q.Value(w).Shape.Rows)
				d = f.emit(name, shape, is, ir.Op{Code: ir.DInput, Args: []ir.ID{d, w}})
			case ir.Act:
				i := slices.IndexFunc(activations, func(a activation) bool { return a.act == op.Act })
				is := f.mul(f.forms[d], activations[i].slope(&f.algebra, f.forms[id]))
				d = f.emit(name, shape, is, ir.Op{Code: ir.DAct, Act: op.Act, Args: []ir.ID{d, id}})
			}
			grad = f.addTo(grad, d)
		}
	}
	if grad == none {
		return 0, fmt.Errorf("the loss does not depend on %s", f.name(id))
	}
	f.grad[id] = grad
	return grad, nil
}

// account says for each layer operation which nodes of the graph it stands for: a
// node belongs to the operation whose result it is, or leads to.
func (f *fuser) account() {
	owner := map[ir.ID]int{} // operations of q by values of p
	for i, op := range f.q.Ops {
		if id, ok := f.from[op.Out]; ok && i < f.q.Forward {
			owner[id] = i
		}
	}
	byForm := map[string]int{}
	shaped := func(s ir.Shape, p form) string { return s.String() + p.key() }
	for i, op := range f.q.Ops {
		if i < f.q.Forward {
			continue
		}
		key := shaped(f.q.Value(op.Out).Shape, f.forms[op.Out])
		if _, taken := byForm[key]; !taken {
			byForm[key] = i
		}
	}
	for i := range f.p.Params {
		owner[f.p.Params[i].Grad] = slices.IndexFunc(f.q.Ops, func(op ir.Op) bool { return op.Out == f.q.Params[i].Grad })
	}
	nodes := map[int64]int{}
	for k := len(f.p.Ops) - 1; k >= 0; k-- {
		op := &f.p.Ops[k]
		mine, ok := owner[op.Out]
		if !ok && k >= f.p.Forward {
			if i, found := byForm[shaped(f.p.Value(op.Out).Shape, f.form[op.Out])]; found {
				mine, ok = i, true
			}
		}
		if !ok {
			mine = len(f.q.Ops)
			for _, next := range f.p.Ops[k+1:] {
				if slices.Contains(next.Args, op.Out) {
					mine = min(mine, owner[next.Out])
				}
			}
		}
		owner[op.Out] = mine
		for _, n := range op.Nodes {
			if _, done := nodes[n]; !done {
				nodes[n] = mine
			}
		}
	}
	for n, i := range nodes {
		f.q.Ops[i].Nodes = append(f.q.Ops[i].Nodes, n)
	}
	for i := range f.q.Ops {
		slices.Sort(f.q.Ops[i].Nodes)
	}
}
