package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vanilla/graph/ir"
)

// Variant is one network to train: what it computes, and its hyper-parameters.
// Variants of a population may differ in all of them.
type Variant struct {
	Source    Source
	Optimizer Optimizer
	Rate      Rate
	// Batch is the number of examples in a step; the last step of an epoch has
	// what is left.
	Batch int
	// Epochs is the horizon that schedules are stretched over.
	Epochs int
	Init   Init
	// Shift moves every image, each time it is trained on, by up to so many
	// pixels in either direction along both axes; what enters is zero. Where to
	// is a function of (OrderSeed, epoch, example).
	Shift int
	// Seed determines the initial weights, OrderSeed the order of examples.
	Seed, OrderSeed uint64
}

// Rate is the step size over a training run.
type Rate struct {
	// StepSize is the largest one.
	StepSize float64
	// Schedule is "constant"; "cosine", from StepSize to zero along half a
	// cosine (Loshchilov and Hutter, arXiv:1608.03983); or "step", which
	// multiplies by Gamma after every StepEpochs epochs.
	Schedule string
	// StepEpochs and Gamma belong to "step".
	StepEpochs int
	Gamma      float64
	// Warmup is the number of epochs, or the part of one, over which the step
	// size first rises linearly to StepSize. The schedule begins after them.
	Warmup float64
}

// ScheduleNames lists the schedules.
func ScheduleNames() []string { return []string{"constant", "cosine", "step"} }

// At is the step size of step t >= 0 of a run of the given length. A schedule
// that is over stays where it ended.
func (r Rate) At(t, stepsPerEpoch, epochs int) float32 {
	warmup := int(math.Round(r.Warmup * float64(stepsPerEpoch)))
	if t < warmup {
		return float32(r.StepSize * float64(t+1) / float64(warmup))
	}
	t -= warmup
	total := epochs*stepsPerEpoch - warmup
	factor := 1.0
	switch r.Schedule {
	case "cosine":
		factor = 0.5 * (1 + math.Cos(math.Pi*float64(min(t, total))/float64(total)))
	case "step":
		factor = math.Pow(r.Gamma, float64(t/(r.StepEpochs*stepsPerEpoch)))
	}
	return float32(r.StepSize * factor)
}

// Check reports the first setting that cannot be in a run of so many epochs.
func (r Rate) Check(epochs int) error {
	if s := float32(r.StepSize); !(s > 0) || math.IsInf(float64(s), 0) {
		return fmt.Errorf("step size %g: want a positive float32", r.StepSize)
	}
	if !slices.Contains(ScheduleNames(), r.Schedule) {
		return fmt.Errorf("no schedule is called %q: there are %s", r.Schedule, strings.Join(ScheduleNames(), ", "))
	}
	if r.Schedule == "step" {
		if r.StepEpochs < 1 {
			return fmt.Errorf("%d epochs a step: want 1 or more", r.StepEpochs)
		}
		if !(r.Gamma > 0 && r.Gamma <= 1) {
			return fmt.Errorf("gamma %g: want a number above 0, at most 1", r.Gamma)
		}
	}
	if !(r.Warmup >= 0 && r.Warmup < float64(epochs)) {
		return fmt.Errorf("warm-up of %g epochs: want zero or more, fewer than the %d epochs of the run", r.Warmup, epochs)
	}
	return nil
}

// Init is the distribution of initial weights.
type Init string

const (
	// Lesson draws weights and biases from N(0, 1), as the lesson's network does.
	Lesson Init = "lesson"
	// Scaled draws weights from N(0, 1/fan-in); biases are zero, as in all
	// that follow.
	Scaled Init = "scaled"
	// Xavier draws from N(0, 2/(fan-in + fan-out)) (Glorot and Bengio, 2010).
	Xavier Init = "xavier"
	// He draws from N(0, 2/fan-in) (He et al., arXiv:1502.01852).
	He Init = "he"
)

// InitNames lists the initialisations.
func InitNames() []string {
	return []string{string(Lesson), string(Scaled), string(Xavier), string(He)}
}

// Program is what the variant's source was lowered to, nil if it has none.
func (v Variant) Program() *ir.Program {
	if v.Source == nil {
		return nil
	}
	return v.Source.Lowered()
}

// StepsPerEpoch is the number of batches in n >= 1 examples.
func (v Variant) StepsPerEpoch(n int) int { return (n-1)/v.Batch + 1 }

// Share is what a batch counts in State.LossSum: its examples by those of a full
// batch, so 1, but for a short last batch of an epoch of n examples. step counts
// from 0 over the whole run.
func (v Variant) Share(step, n int) float64 {
	perEpoch := v.StepsPerEpoch(n)
	if step%perEpoch < perEpoch-1 {
		return 1
	}
	return float64(n-(perEpoch-1)*v.Batch) / float64(min(v.Batch, n))
}

// EpochLoss is the mean loss over an epoch of n examples, each measured in the
// batch that trained it. sum is what State.LossSum adds up to at the epoch's end.
func (v Variant) EpochLoss(sum float64, n int) float64 {
	return sum / (float64(n) / float64(min(v.Batch, n)))
}

// Check reports the first thing about the variant that cannot be, or does not
// fit the data.
func (v Variant) Check(data *Data) error {
	p := v.Program()
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
	if v.Batch < 1 {
		return fmt.Errorf("batch %d: want 1 or more", v.Batch)
	}
	if err := v.checkBatches(data); err != nil {
		return err
	}
	if v.Epochs < 1 {
		return fmt.Errorf("epochs %d: want 1 or more", v.Epochs)
	}
	if err := v.Rate.Check(v.Epochs); err != nil {
		return err
	}
	if v.Shift < 0 || v.Shift > 0 && (v.Shift >= data.Rows || v.Shift >= data.Cols) {
		return fmt.Errorf("shift %d: want 0, or less than the images' extent of %d x %d pixels", v.Shift, data.Rows, data.Cols)
	}
	if !slices.Contains(InitNames(), string(v.Init)) {
		return fmt.Errorf("no initialisation is called %q: there are %s", v.Init, strings.Join(InitNames(), ", "))
	}
	return nil
}

// checkBatches reports a batch size that occurs and has no meaning for the
// program: a slice of examples that a last, short batch has not, for instance.
func (v Variant) checkBatches(data *Data) error {
	if v.Program().Layers() {
		return nil
	}
	for s := Train; s <= Test; s++ {
		n := data.Split(s).Len()
		for _, batch := range []int{min(n, v.Batch), n % v.Batch} {
			if batch == 0 {
				continue
			}
			if err := v.Program().CheckBatch(batch); err != nil {
				return fmt.Errorf("a batch of %d of the %d %s examples: %w", batch, n, s, err)
			}
		}
	}
	return nil
}

// CheckLayers refuses programs that hold tensor operations, for an executor that
// runs layer operations alone.
func CheckLayers(executor string, p *ir.Program) error {
	if p == nil || p.Layers() {
		return nil
	}
	return fmt.Errorf("program %q holds tensor operations, and the executor %s runs layer operations alone so far: ref runs it (--executor ref)", p.Name, executor)
}

// EvaluationBatch is how many examples an evaluation runs at a time, at most: as
// many as the executor likes for programs of layer operations, and the training
// batch size for others. Their outputs may depend on the rest of the batch, and
// their losses on its size. What is never trained has no batch size.
func (v Variant) EvaluationBatch(most int) int {
	if v.Batch == 0 || v.Program().Layers() {
		return most
	}
	return v.Batch
}

// InitialState draws the variant's parameters. Element j of parameter i is a
// function of (Seed, i, j) alone, with weights numbered [out, in] row-major.
func (v Variant) InitialState() State {
	var s State
	for i, q := range v.Program().Params {
		shape := v.Program().Value(q.Value).Shape
		w := make([]float32, shape.Len(0))
		if sd := v.Init.deviation(shape, q.Bias); sd != 0 {
			for j := range w {
				w[j] = float32(float64(sd * normal(v.Seed, streamParam+uint32(i), uint64(j))))
			}
		} else if q.Start != 0 {
			for j := range w {
				w[j] = float32(q.Start)
			}
		}
		s.Params = append(s.Params, w)
	}
	for range v.Optimizer.Slots() {
		for i := range v.Program().Params {
			s.Slots = append(s.Slots, make([]float32, len(s.Params[i])))
		}
	}
	return s
}

// fans are how many numbers each sum with the parameter has, and how many sums
// each number goes into: of weights [out, in], and of filters [out, in, h, w].
func fans(shape ir.Shape) (in, out float64) {
	extents := shape.At(0)
	if len(extents) <= 2 {
		return float64(shape.Cols), float64(shape.Rows)
	}
	window := 1
	for _, d := range extents[2:] {
		window *= d
	}
	return float64(extents[1] * window), float64(extents[0] * window)
}

// deviation is the standard deviation of a parameter's initial elements.
func (n Init) deviation(shape ir.Shape, bias bool) float64 {
	fanIn, fanOut := fans(shape)
	switch {
	case n == Lesson:
		return 1
	case bias:
		return 0
	case n == Xavier:
		return math.Sqrt(2 / (fanIn + fanOut))
	case n == He:
		return math.Sqrt(2 / fanIn)
	}
	return 1 / math.Sqrt(fanIn)
}
