package ir

import "slices"

// Evaluation is what an evaluation computes of the program: the operations that
// Output depends on, with random values at their mean. Factors of one are left out,
// so dropout is gone. Values and parameters keep their IDs. There is no loss and no
// gradient, so it does not verify.
func (p *Program) Evaluation() *Program {
	q := *p
	q.Ops = nil
	same := make([]ID, len(p.Values)) // the value that each one is equal to
	for i := range same {
		same[i] = ID(i)
	}
	ones := map[ID]bool{}
	for _, op := range p.Ops[:p.Forward] {
		op.Args = slices.Clone(op.Args)
		for k, a := range op.Args {
			op.Args[k] = same[a]
		}
		if op.Code == Random {
			op = Op{Code: Const, Out: op.Out, Value: Number{Fixed: op.Mean()}, Nodes: op.Nodes}
		}
		ones[op.Out] = op.Code == Const && op.Data == nil && op.Value == Number{Fixed: 1}
		if op.Code == Map && op.Fn == FnMul && op.Out != p.Output {
			for k, a := range op.Args {
				if other := op.Args[1-k]; ones[a] && p.Values[other].Shape == p.Values[op.Out].Shape {
					same[op.Out] = other
				}
			}
			if same[op.Out] != op.Out {
				continue
			}
		}
		q.Ops = append(q.Ops, op)
	}
	needed := make([]bool, len(p.Values))
	needed[p.Output] = true
	for i := len(q.Ops) - 1; i >= 0; i-- {
		if needed[q.Ops[i].Out] {
			for _, a := range q.Ops[i].Args {
				needed[a] = true
			}
		}
	}
	q.Ops = slices.DeleteFunc(q.Ops, func(op Op) bool { return !needed[op.Out] })
	q.Forward = len(q.Ops)
	return &q
}

// Mean is what every element of a Random operation is in an evaluation.
func (op *Op) Mean() float64 {
	switch op.Fn {
	case FnKeep:
		return 1
	case FnUniform:
		return (op.Draw[0] + op.Draw[1]) / 2
	}
	return op.Draw[0]
}

// Softmax is whether the loss takes the softmax of Output, as cross-entropy does:
// then that is what the network finds probable. Where the loss is no layer
// operation, as with smoothed labels, it is exp(z − max z) along the classes.
func (p *Program) Softmax() bool {
	made := map[ID]*Op{}
	for i := range p.Ops[:p.Forward] {
		op := &p.Ops[i]
		made[op.Out] = op
		if op.Code == Xent && op.Args[0] == p.Output {
			return true
		}
		if op.Code != Map || op.Fn != FnExp {
			continue
		}
		from := made[op.Args[0]]
		if from == nil || from.Code != Map || from.Fn != FnSub || from.Args[0] != p.Output {
			continue
		}
		most := made[from.Args[1]]
		if most != nil && most.Code == Repeat {
			most = made[most.Args[0]]
		}
		if most != nil && most.Code == Reduce && most.Fn == FnMax && most.Args[0] == p.Output && slices.Equal(most.Axes, []int{1}) {
			return true
		}
	}
	return false
}
