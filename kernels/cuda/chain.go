//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"

	"vanilla/graph/ir"
)

// The losses of chains in format.cuh.
const (
	crossEntropyLoss = 0
	quadraticLoss    = 1
)

// dense is a program that is a chain of dense layers, the first one first.
type dense struct {
	layers     []packedLayer
	parameters int64 // floats of them
	loss       int32
	scale      float32
}

// matchDense is the program as tensor cores train it: dense layers one after the
// other, each with a bias and an activation, a loss at the end, and the gradients
// that belong to them. It fails with the first thing that is otherwise.
func matchDense(p *ir.Program) (*dense, error) {
	m := matcher{p: p, by: make([]*ir.Op, len(p.Values)), offset: map[ir.ID]int64{}, param: map[ir.ID]ir.Param{}}
	for i := range p.Ops {
		m.by[p.Ops[i].Out] = &p.Ops[i]
	}
	for _, q := range p.Params {
		m.offset[q.Value], m.param[q.Value] = m.floats, q
		m.floats += int64(p.Value(q.Value).Shape.Len(0))
	}
	links, loss, err := m.forward()
	if err != nil {
		return nil, err
	}
	if len(p.Params) != 2*len(links) {
		return nil, fmt.Errorf("%d parameters are not the weights and biases of %d layers", len(p.Params), len(links))
	}
	if err := m.backward(links, loss); err != nil {
		return nil, err
	}
	d := &dense{parameters: m.floats, scale: float32(loss.Scale)}
	if loss.Code == ir.Quad {
		d.loss = quadraticLoss
	}
	for _, k := range links {
		shape := p.Value(k.w).Shape
		d.layers = append(d.layers, packedLayer{
			Weight: m.offset[k.w], Bias: m.offset[k.b], In: int32(shape.Cols), Out: int32(shape.Rows), Activation: int32(k.act),
		})
	}
	return d, nil
}

// matchChain is the program as resident kernels see it.
func matchChain(p *ir.Program) (*packedChain, error) {
	d, err := matchDense(p)
	if err != nil {
		return nil, err
	}
	if len(d.layers) > maxLayers {
		return nil, fmt.Errorf("it has %d layers, at most %d fit", len(d.layers), maxLayers)
	}
	c := &packedChain{Parameters: d.parameters, Depth: int32(len(d.layers)), Loss: d.loss, Scale: d.scale}
	copy(c.Layers[:], d.layers)
	return c, nil
}

// matcher follows the operations of a program.
type matcher struct {
	p      *ir.Program
	by     []*ir.Op // the operation that computes a value
	offset map[ir.ID]int64
	param  map[ir.ID]ir.Param
	floats int64
}

// link is a layer: z = a·wᵀ + b, h = act(z), where h is z if nothing is applied.
type link struct {
	a, w, b, z, h ir.ID
	act           ir.Activation
}

func (m *matcher) is(v ir.ID, code ir.Code) bool { return m.by[v] != nil && m.by[v].Code == code }

func (m *matcher) name(v ir.ID) string { return m.p.Value(v).Name }

// forward finds the layers, the first one first, and the loss.
func (m *matcher) forward() ([]link, *ir.Op, error) {
	p := m.p
	if !m.is(p.Loss, ir.Xent) && !m.is(p.Loss, ir.Quad) {
		return nil, nil, fmt.Errorf("the loss is no cross-entropy and no quadratic cost alone")
	}
	loss := m.by[p.Loss]
	if loss.Args[1] != p.Target || loss.Args[0] != p.Output {
		return nil, nil, fmt.Errorf("the loss does not compare the output with the target")
	}
	var links []link
	used := map[ir.ID]bool{}
	for h := loss.Args[0]; h != p.Input; h = links[0].a {
		k := link{h: h, z: h, act: ir.Identity}
		if m.is(h, ir.Act) {
			k.z, k.act = m.by[h].Args[0], m.by[h].Act
		}
		if !m.is(k.z, ir.Dense) {
			return nil, nil, fmt.Errorf("%s is no dense layer", m.name(k.z))
		}
		args := m.by[k.z].Args
		if len(args) < 3 {
			return nil, nil, fmt.Errorf("%s has no bias", m.name(k.z))
		}
		k.a, k.w, k.b = args[0], args[1], args[2]
		for _, v := range args[1:] {
			q, trained := m.param[v]
			if !trained || used[v] || q.Bias != (v == k.b) {
				return nil, nil, fmt.Errorf("%s is not trained as a parameter of %s alone", m.name(v), m.name(k.z))
			}
			used[v] = true
		}
		links = append([]link{k}, links...)
	}
	top := &links[len(links)-1]
	if loss.Code == ir.Xent && top.z != top.h {
		return nil, nil, fmt.Errorf("%s goes through an activation before the cross-entropy", m.name(top.z))
	}
	return links, loss, nil
}

// backward fails unless the parameters' gradients are those of the layers.
func (m *matcher) backward(links []link, loss *ir.Op) error {
	matches := func(v ir.ID, code ir.Code, args ...ir.ID) bool {
		if !m.is(v, code) {
			return false
		}
		for i, a := range args {
			if m.by[v].Args[i] != a {
				return false
			}
		}
		return true
	}
	for l := len(links) - 1; l >= 0; l-- {
		k := links[l]
		db := m.param[k.b].Grad
		if !m.is(db, ir.DBias) {
			return fmt.Errorf("the gradient of %s is no sum of deltas", m.name(k.b))
		}
		dz := m.by[db].Args[0]
		if !matches(m.param[k.w].Grad, ir.DWeight, dz, k.a) {
			return fmt.Errorf("the gradient of %s is no product of deltas and inputs", m.name(k.w))
		}
		dh := dz
		if k.h != k.z {
			if !matches(dz, ir.DAct, m.by[dz].Args[0], k.z) || m.by[dz].Act != k.act {
				return fmt.Errorf("%s is not the gradient of %s", m.name(dz), m.name(k.z))
			}
			dh = m.by[dz].Args[0]
		}
		var right bool
		switch {
		case l < len(links)-1:
			above := links[l+1]
			right = matches(dh, ir.DInput, m.by[m.param[above.b].Grad].Args[0], above.w)
		case loss.Code == ir.Xent:
			right = matches(dh, ir.DXent, k.h, m.p.Target) && m.by[dh].Scale == loss.Scale
		default:
			right = matches(dh, ir.DQuad, k.h, m.p.Target) && m.by[dh].Scale == loss.Scale
		}
		if !right {
			return fmt.Errorf("%s is not the gradient of %s", m.name(dh), m.name(k.h))
		}
	}
	return nil
}
