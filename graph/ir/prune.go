package ir

// Prune drops the operations whose results nothing reads, puts those of the
// forward pass first, and numbers the values that are left anew. Operations must
// stand after those that they read.
func (p *Program) Prune() {
	by := make(map[ID]int, len(p.Ops))
	for i := range p.Ops {
		by[p.Ops[i].Out] = i
	}
	needed := func(roots ...ID) []bool {
		live := make([]bool, len(p.Ops))
		var visit func(id ID)
		visit = func(id ID) {
			if i, ok := by[id]; ok && !live[i] {
				live[i] = true
				for _, a := range p.Ops[i].Args {
					visit(a)
				}
			}
		}
		for _, r := range roots {
			visit(r)
		}
		return live
	}
	var grads []ID
	for _, q := range p.Params {
		grads = append(grads, q.Grad)
	}
	forward, backward := needed(p.Output, p.Loss), needed(grads...)
	var ops []Op
	for i, op := range p.Ops {
		if forward[i] {
			ops = append(ops, op)
		}
	}
	p.Forward = len(ops)
	for i, op := range p.Ops {
		if backward[i] && !forward[i] {
			ops = append(ops, op)
		}
	}

	old := p.Values
	p.Values = nil
	id := make([]ID, len(old))
	keep := func(v ID) ID {
		p.Values = append(p.Values, old[v])
		id[v] = ID(len(p.Values) - 1)
		return id[v]
	}
	p.Input, p.Target = keep(p.Input), keep(p.Target)
	for i := range p.Params {
		p.Params[i].Value = keep(p.Params[i].Value)
	}
	for i := range ops {
		args := make([]ID, len(ops[i].Args))
		for k, a := range ops[i].Args {
			args[k] = id[a]
		}
		ops[i].Args, ops[i].Out = args, keep(ops[i].Out)
	}
	p.Ops = ops
	p.Output, p.Loss = id[p.Output], id[p.Loss]
	for i := range p.Params {
		p.Params[i].Grad = id[p.Params[i].Grad]
	}
}
