package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/graph/ir"
)

// Variant is one network to train: a program and its hyper-parameters.
// Variants of a population may differ in all of them.
type Variant struct {
	Program   *ir.Program
	Optimizer Optimizer
	Rate      Rate
	// Batch is the number of examples in a step; the last step of an epoch has
	// what is left.
	Batch int
	// Epochs is the horizon that schedules are stretched over.
	Epochs int
	Init   Init
	// Seed determines the initial weights, OrderSeed the order of examples.
	Seed, OrderSeed uint64
}

// Rate is the step size over a training run.
type Rate struct {
	// StepSize is the largest one.
	StepSize float64
	// Schedule is "constant", or "cosine": from StepSize to zero along half a
	// cosine over all steps (Loshchilov and Hutter, arXiv:1608.03983).
	Schedule string
}

// ScheduleNames lists the schedules.
func ScheduleNames() []string { return []string{"constant", "cosine"} }

// At is the step size of step t >= 0 of a run of total steps. A schedule that
// is over stays where it ended.
func (r Rate) At(t, total int) float32 {
	factor := 1.0
	if r.Schedule == "cosine" {
		factor = 0.5 * (1 + math.Cos(math.Pi*float64(min(t, total))/float64(total)))
	}
	return float32(r.StepSize * factor)
}

// Init is the distribution of initial weights.
type Init string

const (
	// Lesson draws weights and biases from N(0, 1), as the lesson's network does.
	Lesson Init = "lesson"
	// Scaled draws weights from N(0, 1/fan-in); biases are zero.
	Scaled Init = "scaled"
)

// InitNames lists the initialisations.
func InitNames() []string { return []string{string(Lesson), string(Scaled)} }

// StepsPerEpoch is the number of batches in n >= 1 examples.
func (v Variant) StepsPerEpoch(n int) int { return (n-1)/v.Batch + 1 }

// Check reports the first thing about the variant that cannot be, or does not
// fit the data.
func (v Variant) Check(data *Data) error {
	p := v.Program
	if p == nil {
		return fmt.Errorf("no program")
	}
	if err := p.Verify(); err != nil {
		return err
	}
	if p.Features() != data.Train.Features {
		return fmt.Errorf("the network takes %d inputs, the data has %d features", p.Features(), data.Train.Features)
	}
	if p.Classes() != data.Classes {
		return fmt.Errorf("the network has %d outputs, the data has %d classes", p.Classes(), data.Classes)
	}
	if err := v.Optimizer.Check(); err != nil {
		return err
	}
	if err := v.Rate.Check(); err != nil {
		return err
	}
	if v.Batch < 1 {
		return fmt.Errorf("batch %d: want 1 or more", v.Batch)
	}
	if v.Epochs < 1 {
		return fmt.Errorf("epochs %d: want 1 or more", v.Epochs)
	}
	if !slices.Contains(InitNames(), string(v.Init)) {
		return fmt.Errorf("no initialisation is called %q: there are %s", v.Init, strings.Join(InitNames(), ", "))
	}
	return nil
}

// Check reports the first setting that cannot be.
func (r Rate) Check() error {
	if s := float32(r.StepSize); !(s > 0) || math.IsInf(float64(s), 0) {
		return fmt.Errorf("step size %g: want a positive float32", r.StepSize)
	}
	if !slices.Contains(ScheduleNames(), r.Schedule) {
		return fmt.Errorf("no schedule is called %q: there are %s", r.Schedule, strings.Join(ScheduleNames(), ", "))
	}
	return nil
}

// InitialState draws the variant's parameters. Element j of parameter i is a
// function of (Seed, i, j) alone, with weights numbered [out, in] row-major.
func (v Variant) InitialState() State {
	var s State
	for i, q := range v.Program.Params {
		shape := v.Program.Value(q.Value).Shape
		w := make([]float32, shape.Len(0))
		if sd := v.Init.deviation(shape, q.Bias); sd != 0 {
			for j := range w {
				w[j] = float32(float64(sd * normal(v.Seed, streamParam+uint32(i), uint64(j))))
			}
		}
		s.Params = append(s.Params, w)
	}
	for range v.Optimizer.Slots() {
		for i := range v.Program.Params {
			s.Slots = append(s.Slots, make([]float32, len(s.Params[i])))
		}
	}
	return s
}

// deviation is the standard deviation of a parameter's initial elements.
func (n Init) deviation(shape ir.Shape, bias bool) float64 {
	switch {
	case n == Lesson:
		return 1
	case bias:
		return 0
	}
	return 1 / math.Sqrt(float64(shape.Cols))
}
