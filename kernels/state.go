package kernels

import (
	"fmt"

	"vanilla/graph/ir"
)

// State is a variant's training state at one step.
type State struct {
	Step   int
	Params [][]float32 // in the program's order, weights [out, in] row-major
	Slots  [][]float32 // the optimizer's own arrays, see Optimizer.Slots
	// LossSum adds up the mean losses of the current epoch's batches so far, each
	// by its Variant.Share, so that Variant.EpochLoss is the mean over examples.
	LossSum  float64
	Diverged bool
}

// Clone is a deep copy.
func (s State) Clone() State {
	s.Params, s.Slots = clone(s.Params), clone(s.Slots)
	return s
}

func clone(a [][]float32) [][]float32 {
	out := make([][]float32, len(a))
	for i := range a {
		out[i] = append([]float32(nil), a[i]...)
	}
	return out
}

// Check compares the state's shapes with what a variant needs.
func (s State) Check(v Variant) error {
	p := v.Program()
	if err := checkParams(p, s.Params); err != nil {
		return err
	}
	if want := len(p.Params) * v.Optimizer.Slots(); len(s.Slots) != want {
		return fmt.Errorf("state holds %d optimizer arrays, %s needs %d", len(s.Slots), v.Optimizer.Name, want)
	}
	for i, q := range p.Params {
		for k := range v.Optimizer.Slots() {
			if err := checkParam(p.Value(q.Value), s.Slots[k*len(p.Params)+i]); err != nil {
				return err
			}
		}
	}
	if s.Step < 0 {
		return fmt.Errorf("state is at step %d", s.Step)
	}
	return nil
}

// checkParams compares parameters with a program's.
func checkParams(p *ir.Program, params [][]float32) error {
	if len(params) != len(p.Params) {
		return fmt.Errorf("state holds %d parameters, the program has %d", len(params), len(p.Params))
	}
	for i, q := range p.Params {
		if err := checkParam(p.Value(q.Value), params[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkParam(v ir.Value, a []float32) error {
	if len(a) != v.Shape.Len(0) {
		return fmt.Errorf("state of %s%v holds %d numbers", v.Name, v.Shape, len(a))
	}
	return nil
}

// Finite says whether all parameters are finite.
func (s State) Finite() bool {
	for _, p := range s.Params {
		for _, v := range p {
			if v-v != 0 {
				return false
			}
		}
	}
	return true
}
