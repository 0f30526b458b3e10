package kernels

import (
	"fmt"

	"vanilla/graph/ir"
)

// Variant is one network to train: what it computes, and its hyper-parameters.
// Variants of a population may differ in all of them.
type Variant struct {
	Source    Source
	Optimizer Optimizer
	Schedule  Schedule
	// Batch is the number of examples in a step; the last step of an epoch has
	// what is left.
	Batch int
	// Epochs is the horizon that schedules are stretched over.
	Epochs int
	Init   Init
	// Augment is what happens to images each time they are trained on.
	Augment
	// NoiseShare is the share of positions in an epoch's order that have an image of
	// noise in place of an example, with all classes equally likely as its target.
	// Which ones is a function of (OrderSeed, epoch, position).
	NoiseShare float64
	// Seed determines the initial weights, OrderSeed the order of examples.
	Seed, OrderSeed uint64
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

// CheckSettings reports the first of the hyper-parameters that cannot be, as a
// *SettingError.
func (v Variant) CheckSettings() error {
	return firstError(v.Optimizer.Check(),
		checkThat(v.Batch >= 1, "batch", v.Batch, "want 1 or more examples"),
		checkThat(v.Epochs >= 1 && v.Epochs <= MaxEpochs, "epochs", v.Epochs, fmt.Sprintf("want 1 to %d", MaxEpochs)),
		v.Schedule.Check(v.Epochs),
		v.Augment.Check(),
		v.checkNoiseShare(),
		v.Init.Check())
}

func (v Variant) checkNoiseShare() error {
	return checkThat(v.NoiseShare >= 0 && v.NoiseShare < 1, "noise_share", v.NoiseShare, "want a share from 0 to below 1")
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
	if err := firstError(v.CheckSettings(), v.Augment.Fits(data.Rows, data.Cols)); err != nil {
		return err
	}
	return v.checkBatches(data)
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
