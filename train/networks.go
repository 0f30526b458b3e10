package train

import (
	"sync"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/model"
)

// Networks holds each network's graph and program once, however many runs
// share it. The zero value is empty. It may be used concurrently.
type Networks struct {
	mu    sync.Mutex
	built map[shape]*graph.Network
	of    map[*ir.Program]*graph.Network
}

// shape is what a network's graph depends on.
type shape struct{ arch, activation, loss string }

// Build returns the network with the given architecture ("784-16-16-10"),
// activation of its hidden layers, and loss. The first call for each builds and
// lowers the graph, which takes some milliseconds.
func (n *Networks) Build(arch, activation, loss string) (*graph.Network, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := shape{arch, activation, loss}
	if network, ok := n.built[key]; ok {
		return network, nil
	}
	a, err := archOf(arch, activation, loss)
	if err != nil {
		return nil, err
	}
	network, err := graph.New(a)
	if err != nil {
		return nil, err
	}
	if n.built == nil {
		n.built = map[shape]*graph.Network{}
	}
	n.built[key] = network
	n.know(network)
	return network, nil
}

// add makes a network known to Of.
func (n *Networks) add(network *graph.Network) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.know(network)
}

func (n *Networks) know(network *graph.Network) {
	if n.of == nil {
		n.of = map[*ir.Program]*graph.Network{}
	}
	n.of[network.Program] = network
}

// Of returns the network that was lowered to p, or nil if neither Build nor a
// run has met it.
func (n *Networks) Of(p *ir.Program) *graph.Network {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of[p]
}

func archOf(arch, activation, loss string) (a graph.Arch, err error) {
	if a.Widths, err = model.Widths(arch); err != nil {
		return a, err
	}
	if a.Activation, err = ir.ParseActivation(activation); err != nil {
		return a, err
	}
	a.Loss, err = graph.ParseLoss(loss)
	return a, err
}

// Keep forgets all networks but those whose programs are wanted.
func (n *Networks) Keep(wanted func(*ir.Program) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, network := range n.built {
		if !wanted(network.Program) {
			delete(n.built, key)
		}
	}
	for p := range n.of {
		if !wanted(p) {
			delete(n.of, p)
		}
	}
}
