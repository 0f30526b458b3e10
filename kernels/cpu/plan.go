package cpu

import (
	"fmt"
	"slices"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// plan is a compiled program: lists of kernels for a training step and for
// evaluation.
type plan struct {
	program   *ir.Program
	optimizer kernels.Optimizer
	// layout is how values are stored.
	layout []layout
	// step trains on a batch. Its updates come last.
	step []kernel
	// Evaluation runs once what depends on no example, then per chunk of
	// examples what exists per example and the data loss, and in the end what
	// adds to the loss.
	before, chunk, after []kernel
	// tensor is not nil if the program holds tensor operations. It is then
	// evaluated in chunks that are batches of their own.
	tensor *tensorPlan
	// forward computes the forward values that exist per example and have nothing to do
	// with its label. What a convolution fuses away it leaves out.
	forward []kernel
	// forwarded says where forward leaves each of them; values is how many values there are,
	// without the copies.
	forwarded []forwarded
	values    int
}

// forwarded is a value of the program as it was given, and the one that holds its
// numbers: another one of a view, or in another layout.
type forwarded struct{ value, holds ir.ID }

// pass is one transformation of a schedule on its way to a list of kernels.
type pass struct {
	name string
	run  func(*schedule)
}

// schedule is a list of kernels in the making.
type schedule struct {
	program   *ir.Program
	optimizer kernels.Optimizer
	layout    []layout
	ops       []ir.Op
	// kept are values that are wanted beside what kernels read.
	kept    []ir.ID
	kernels []kernel
	randoms map[ir.ID]int // the numbers of the program's Random operations
	tensor  *tensorPlan
}

// schedule runs operations through passes, and checks the list after each of them: a mistake in a pass is an error that
// names it, not a wrong number.
func (c *plan) schedule(ops []ir.Op, kept []ir.ID, passes ...pass) ([]kernel, error) {
	s := &schedule{program: c.program, optimizer: c.optimizer, layout: c.layout, ops: ops, kept: kept, randoms: map[ir.ID]int{}, tensor: c.tensor}
	for _, op := range c.program.Ops {
		if op.Code == ir.Random {
			s.randoms[op.Out] = len(s.randoms)
		}
	}
	for _, pass := range passes {
		pass.run(s)
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("program %q: the pass %q leaves a list that cannot run: %w", c.program.Name, pass.name, err)
		}
	}
	return s.kernels, nil
}

// check reports an error unless every value of the schedule's operations that a kernel reads, or that is kept, is written
// by one kernel, before, and no parameter is read once it is updated.
func (s *schedule) check() error {
	computed := map[ir.ID]bool{} // by these operations: false until a kernel wrote it
	for _, op := range s.ops {
		computed[op.Out] = false
	}
	updated := map[ir.ID]bool{}
	for _, k := range s.kernels {
		for _, id := range k.reads() {
			if written, ours := computed[id]; ours && !written {
				return fmt.Errorf("%s: %s is read before it is written", k.line(s.program), s.program.Value(id).Name)
			}
			if updated[id] {
				return fmt.Errorf("%s: %s is read after its update", k.line(s.program), s.program.Value(id).Name)
			}
		}
		for _, id := range k.writes() {
			if computed[id] {
				return fmt.Errorf("%s: %s is written twice", k.line(s.program), s.program.Value(id).Name)
			}
			computed[id] = true
		}
		if u, is := k.(interface{ updates() ir.ID }); is {
			updated[u.updates()] = true
		}
	}
	for _, id := range s.kept {
		if written, ours := computed[id]; ours && !written {
			return fmt.Errorf("%s is wanted and not written", s.program.Value(id).Name)
		}
	}
	return nil
}

// compile makes the plan of a program.
func compile(p *ir.Program, o kernels.Optimizer) (*plan, error) {
	c, err := compileForward(p)
	if err != nil {
		return nil, err
	}
	c.optimizer = o
	c.step, err = c.schedule(c.program.Ops, []ir.ID{c.program.Loss},
		selectKernels,
		appendUpdates,
		dropUnread,
		fuseConvolutions,
		fuseRectifiers,
		dropUnread,
		rectifyInPlace,
		slopesFromOutputs,
		fuseDenseActivation,
		fuseLossGradient,
		fuseInputActivationGradient,
		fuseUpdates,
		fuseMulAdd,
		groupMaps,
		expandInput,
		expandTarget,
	)
	return c, err
}

// compileForward makes the plan of a program that is not to be trained: it has
// no step.
func compileForward(p *ir.Program) (*plan, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	if !p.Layers() {
		return compileTensor(p)
	}
	c := &plan{program: p, layout: layouts(p), values: len(p.Values)}
	for _, op := range p.Ops[:p.Forward] {
		if p.Value(op.Out).Shape.Rows == ir.Batch {
			c.forwarded = append(c.forwarded, forwarded{op.Out, op.Out})
		}
	}
	forward, afterLoss, err := splitAtLoss(p)
	if err != nil {
		return nil, err
	}
	if c.before, err = c.schedule(forward[0], nil, selectKernels); err != nil {
		return nil, err
	}
	if c.chunk, err = c.schedule(forward[1], []ir.ID{p.Output},
		selectKernels,
		fuseDenseActivation,
		expandInput,
	); err != nil {
		return nil, err
	}
	if c.after, err = c.schedule(afterLoss, nil, selectKernels); err != nil {
		return nil, err
	}
	if c.forward, err = c.schedule(slices.Concat(forward[0], forward[1]), nil, selectKernels); err != nil {
		return nil, err
	}
	c.forward = slices.DeleteFunc(c.forward, func(k kernel) bool { _, is := k.(loss); return is })
	return c, nil
}

func (c *plan) lines() []string {
	var lines []string
	for _, k := range c.step {
		lines = append(lines, k.line(c.program))
	}
	return lines
}

// layout is how a value's columns and rows are stored.
type layout uint8

const (
	// rows: a row per example, or the one row of a bias.
	rows layout = iota
	// matrix: weights, a row per input.
	matrix
	// matrixByDensity: weights whose rows stand in the data set's order of
	// columns, so that the layer can read records.
	matrixByDensity
	// spread: a number per example, or one for all, in each of 16 columns.
	spread
	// plain: row-major, not in panels, padded to a last whole panel.
	plain
)

func (l layout) String() string {
	return [...]string{"in rows", "as a matrix", "as a matrix by density", "spread", "row-major"}[l]
}

// layouts chooses them: weights with which dense layers read x stand in its
// order of columns, if nothing else needs another. What is combined element by
// element shares one layout: a parameter with its gradient, the operands of a
// sum. A parameter that is weights and a bias at once, of one row, is a matrix:
// kernels for biases copy it to a row and back.
func layouts(p *ir.Program) []layout {
	class := make([]ir.ID, len(p.Values)) // a forest: each points towards its class
	for id := range class {
		class[id] = ir.ID(id)
	}
	find := func(id ir.ID) ir.ID {
		for class[id] != id {
			id = class[id]
		}
		return id
	}
	join := func(a, b ir.ID) { class[find(a)] = find(b) }
	for _, q := range p.Params {
		join(q.Value, q.Grad)
	}
	for _, op := range p.Ops {
		if op.Code == ir.Add && p.Value(op.Out).Shape.Rows != ir.Batch {
			join(op.Out, op.Args[0])
			join(op.Out, op.Args[1])
		}
	}
	bias, readsX, other := make([]bool, len(class)), make([]bool, len(class)), make([]bool, len(class))
	for _, op := range p.Ops {
		switch op.Code {
		case ir.Dense:
			if op.Args[0] == p.Input {
				readsX[find(op.Args[1])] = true
			} else {
				other[find(op.Args[1])] = true
			}
			if len(op.Args) == 3 {
				bias[find(op.Args[2])] = true
			}
		case ir.DInput:
			other[find(op.Args[1])] = true
		case ir.DWeight:
			if op.Args[1] == p.Input {
				readsX[find(op.Out)] = true
			} else {
				other[find(op.Out)] = true
			}
		case ir.DBias:
			bias[find(op.Out)] = true
		}
	}
	all := make([]layout, len(class))
	for id := range all {
		c := find(ir.ID(id))
		switch {
		case other[c], readsX[c] && bias[c]:
			all[id] = matrix
		case readsX[c]:
			all[id] = matrixByDensity
		}
	}
	return all
}

// splitAtLoss sorts the forward operations for evaluation in chunks: those that
// depend on no example, those that exist per example up to the data loss, and
// those that follow from the loss. It refuses a network that reads its own
// loss: there is none before all examples are through.
func splitAtLoss(p *ir.Program) (forward [2][]ir.Op, after []ir.Op, err error) {
	fromLoss := make([]bool, len(p.Values))
	for _, op := range p.Ops[:p.Forward] {
		perExample := p.Value(op.Out).Shape.Rows == ir.Batch
		depends := slices.ContainsFunc(op.Args, func(id ir.ID) bool { return fromLoss[id] })
		isLoss := op.Code == ir.Xent || op.Code == ir.Quad
		fromLoss[op.Out] = depends || isLoss
		switch {
		case depends && (perExample || isLoss):
			return forward, nil, fmt.Errorf("program %q: %s depends on the loss of the examples it is computed for",
				p.Name, p.Value(op.Out).Name)
		case depends:
			after = append(after, op)
		case perExample || isLoss:
			forward[1] = append(forward[1], op)
		default:
			forward[0] = append(forward[0], op)
		}
	}
	return forward, after, nil
}

// selectKernels makes one kernel of every operation.
var selectKernels = pass{"select kernels", func(s *schedule) {
	for _, op := range s.ops {
		s.kernels = append(s.kernels, s.choose(op))
	}
}}

func (s *schedule) choose(op ir.Op) kernel {
	arg := func(k int) ir.ID { return op.Args[k] }
	sparse := func(in, w ir.ID) bool { return in == s.program.Input && s.layout[w] == matrixByDensity }
	switch op.Code {
	case ir.Dense:
		bias := none
		if len(op.Args) == 3 {
			bias = arg(2)
		}
		return denseLayer{out: op.Out, in: arg(0), w: arg(1), bias: bias, sparse: sparse(arg(0), arg(1)),
			biasMatrix: bias != none && s.layout[bias] != rows}
	case ir.Act:
		return activation{out: op.Out, in: arg(0), act: op.Act}
	case ir.Add:
		return addition{out: op.Out, a: arg(0), b: arg(1), scale: op.Scale}
	case ir.Xent, ir.Quad:
		return loss{code: op.Code, out: op.Out, in: arg(0), scale: op.Scale, grad: none}
	case ir.DXent:
		return lossGradient{code: ir.Xent, out: op.Out, in: arg(0), scale: op.Scale}
	case ir.DQuad:
		return lossGradient{code: ir.Quad, out: op.Out, in: arg(0), scale: op.Scale}
	case ir.L2:
		return penalty{out: op.Out, base: arg(0), w: arg(1), scale: op.Scale}
	case ir.DInput:
		return inputGradient{out: op.Out, dz: arg(0), w: arg(1), at: none}
	case ir.DWeight:
		return weightGradient{out: op.Out, dz: arg(0), in: arg(1), sparse: sparse(arg(1), op.Out)}
	case ir.DBias:
		return biasGradient{out: op.Out, dz: arg(0), matrix: s.layout[op.Out] != rows}
	case ir.DAct:
		return activationGradient{out: op.Out, dh: arg(0), at: arg(1), act: op.Act}
	}
	return s.chooseTensor(op)
}

// appendUpdates ends the list with one update per parameter. Everything else
// runs before them, so all of the step sees the parameters that it began with.
var appendUpdates = pass{"append updates", func(s *schedule) {
	for i, q := range s.program.Params {
		decay, _ := s.optimizer.Decay(q.Bias)
		s.kernels = append(s.kernels, update{optimizer: s.optimizer, w: q.Value, grad: q.Grad, param: i, bias: q.Bias, decay: decay})
	}
}}

// slopesFromOutputs lets activation gradients read the activation's output in
// place of its input, where that is as good: sigmoid′(z) = h(1−h). It saves an
// exponential, and often frees z.
var slopesFromOutputs = pass{"slopes from outputs", func(s *schedule) {
	for i, k := range s.kernels {
		d, ok := k.(activationGradient)
		if !ok || !slopeFromOutput(d.act) {
			continue
		}
		for _, k := range s.kernels[:i] {
			if a, ok := k.(activation); ok && a.in == d.at && a.act == d.act {
				d.at, d.fromOutput = a.out, true
				s.kernels[i] = d
				break
			}
		}
	}
}}

// fuseDenseActivation joins Dense and Act where nothing else reads the sums.
var fuseDenseActivation = pass{"fuse activations into dense layers", func(s *schedule) {
	for i, k := range s.kernels {
		d, ok := k.(denseLayer)
		if !ok {
			continue
		}
		if j := s.onlyReader(d.out); j >= 0 {
			if a, ok := s.kernels[j].(activation); ok {
				d.out, d.act = a.out, a.act
				s.kernels[i], s.kernels[j] = d, nil
			}
		}
	}
	s.compact()
}}

// fuseLossGradient computes a loss's gradient beside it: they share the
// softmax. The gradient's readers come later than its own place in the list, so
// it may move up to the loss.
var fuseLossGradient = pass{"fuse losses and their gradients", func(s *schedule) {
	for i, k := range s.kernels {
		l, ok := k.(loss)
		if !ok {
			continue
		}
		for j, k := range s.kernels {
			if g, ok := k.(lossGradient); ok && j > i && g.code == l.code && g.in == l.in && l.grad == none {
				l.grad, l.gradScale = g.out, g.scale
				s.kernels[i], s.kernels[j] = l, nil
			}
		}
	}
	s.compact()
}}

// fuseInputActivationGradient joins DInput and DAct where nothing else reads
// the gradient between them. The pair runs at DAct's place, where the operands
// of both are there.
var fuseInputActivationGradient = pass{"fuse slopes into input gradients", func(s *schedule) {
	for i, k := range s.kernels {
		d, ok := k.(inputGradient)
		if !ok || d.act != 0 {
			continue
		}
		if j := s.onlyReader(d.out); j >= 0 {
			if a, ok := s.kernels[j].(activationGradient); ok && a.at != d.out {
				d.out, d.act, d.at, d.fromOutput = a.out, a.act, a.at, a.fromOutput
				s.kernels[i], s.kernels[j] = nil, d
			}
		}
	}
	s.compact()
}}

// fuseUpdates updates parameters where their gradients are computed, without
// storing these, if nothing else reads them. Decay that the program adds to the gradient (dw + s·w) becomes
// part of the update too. The fused kernels stand at the updates' places, at
// the end: there they read nothing that an update changes.
var fuseUpdates = pass{"fuse updates into gradients", func(s *schedule) {
	for i, k := range s.kernels {
		u, ok := k.(update)
		if !ok || s.onlyReader(u.grad) != i {
			continue
		}
		grad, sum := u.grad, -1
		if j := s.producer(grad); j >= 0 {
			if a, ok := s.kernels[j].(addition); ok && a.b == u.w && s.onlyReader(a.a) == j {
				u.decay, grad, sum = u.decay+a.scale, a.a, j
			}
		}
		j := s.producer(grad)
		u.grad = none
		switch g := s.kernels[j].(type) {
		case weightGradient:
			s.kernels[i] = updateWeight{u, g}
		case biasGradient:
			if g.matrix {
				continue
			}
			s.kernels[i] = updateBias{u, g}
		default:
			continue
		}
		s.kernels[j] = nil
		if sum >= 0 {
			s.kernels[sum] = nil
		}
	}
	s.compact()
}}

// descends reports whether an optimizer's update is lr · (gradient +
// decay · w), with nothing kept from step to step.
func descends(o kernels.Optimizer) bool { return o.Rule() == kernels.Descent }

// expandInput converts x in front of a list in which any kernel reads it as
// numbers.
var expandInput = pass{"expand the input", func(s *schedule) {
	x := s.program.Input
	if slices.ContainsFunc(s.kernels, func(k kernel) bool { return slices.Contains(k.reads(), x) }) {
		s.kernels = slices.Insert(s.kernels, 0, kernel(expandX{x}))
	}
}}

// onlyReader is the index of the one kernel that reads a value, once, or −1 if
// there are several or the value is wanted for itself.
func (s *schedule) onlyReader(id ir.ID) int {
	if slices.Contains(s.kept, id) {
		return -1
	}
	reader := -1
	for i, k := range s.kernels {
		if k == nil {
			continue
		}
		for _, r := range k.reads() {
			if r == id && reader >= 0 {
				return -1
			}
			if r == id {
				reader = i
			}
		}
	}
	return reader
}

// producer is the index of the kernel that writes a value, or −1.
func (s *schedule) producer(id ir.ID) int {
	return slices.IndexFunc(s.kernels, func(k kernel) bool {
		return k != nil && slices.Contains(k.writes(), id)
	})
}

func (s *schedule) compact() {
	s.kernels = slices.DeleteFunc(s.kernels, func(k kernel) bool { return k == nil })
}
