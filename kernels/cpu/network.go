package cpu

import (
	"slices"
	"sync"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// network is a variant's parameters and optimizer arrays, laid out as those of a
// machine, and the machine that it runs on, nil while it rests. A machine is
// several times as large, so there are only as many as networks run at once, and
// what one of them trains on stays in the caches when the next one has its turn.
type network struct {
	pool    *pool
	kind    kind
	plan    *plan
	seed    uint64
	arrays  [][]float32
	machine *machine
}

func newNetwork(v kernels.Variant, p *pool) (*network, error) {
	n := &network{pool: p, kind: kind{v.Program(), v.Optimizer, v.Batch}, seed: v.Seed}
	m := p.find(n.kind)
	if m == nil {
		c, err := compile(v.Program(), v.Optimizer)
		if err != nil {
			return nil, err
		}
		m = newMachine(c, v.Batch, p.data(), p.routines)
		m.kind = n.kind
	}
	n.plan = m.plan
	for _, a := range m.arrays() {
		n.arrays = append(n.arrays, hugePages[float32](len(a)))
	}
	p.give(m)
	return n, nil
}

// arrays are the parameters in the program's order, and then the optimizer's.
func (m *machine) arrays() [][]float32 {
	var arrays [][]float32
	for _, q := range m.plan.program.Params {
		arrays = append(arrays, m.values[q.Value])
	}
	return append(arrays, m.slots...)
}

// awake is the network's machine.
func (n *network) awake() *machine {
	if n.machine == nil {
		n.machine = n.pool.find(n.kind)
		if n.machine == nil {
			n.machine = newMachine(n.plan, n.kind.batch, n.pool.data(), n.pool.routines)
			n.machine.kind = n.kind
		}
		for i, a := range n.machine.arrays() {
			copy(a, n.arrays[i])
		}
		n.machine.seed = n.seed
	}
	return n.machine
}

// Rest gives the machine to other networks.
func (n *network) Rest() {
	if n.machine != nil {
		for i, a := range n.machine.arrays() {
			copy(n.arrays[i], a)
		}
		n.pool.give(n.machine)
		n.machine = nil
	}
}

func (n *network) Step(rows, next []int32, lr float32, step int) (float64, error) {
	return n.awake().Step(rows, next, lr, step)
}

func (n *network) StepOn(e kernels.Examples, next []int32, lr float32, step int) (float64, error) {
	return n.awake().StepOn(e, next, lr, step)
}

func (n *network) Outputs(e kernels.Examples) (outputs []float32, loss float64, err error) {
	defer n.Rest()
	return n.awake().Outputs(e)
}

func (n *network) Forward(x []float32) ([][]float32, error) {
	defer n.Rest()
	return n.awake().Forward(x)
}

func (n *network) Params() (params, slots [][]float32) {
	defer n.Rest()
	return n.awake().Params()
}

func (n *network) SetParams(params, slots [][]float32) error {
	defer n.Rest()
	return n.awake().SetParams(params, slots)
}

func (n *network) Close() error {
	n.Rest()
	return nil
}

// kind is what variants have in common that one machine may train.
type kind struct {
	program   *ir.Program
	optimizer kernels.Optimizer
	batch     int
}

// pool is the machines of a population that no network runs on.
type pool struct {
	data     func() *encodedData
	routines *routines
	mutex    sync.Mutex
	idle     []*machine // the one given back last is the last
}

// idleMachines is how many wait at most: enough for a population of a few kinds;
// where there are more, some are made anew.
const idleMachines = 64

// find is an idle machine for a kind, with the arrays of another network, or nil.
func (p *pool) find(k kind) *machine {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if m := p.idle[i]; m.kind == k {
			p.idle = slices.Delete(p.idle, i, i+1)
			return m
		}
	}
	return nil
}

// give takes a machine back.
func (p *pool) give(m *machine) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.idle) == idleMachines {
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.idle = append(p.idle, m)
}
