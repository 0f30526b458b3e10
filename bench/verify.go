package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"vanilla/kernels"
	"vanilla/kernels/ref"
)

// The comparison with the reference takes checkSteps steps, of batches that are
// as large as the case's unless the reference would take longer than
// checkFLOPs.
const (
	checkSteps = 3
	checkFLOPs = 5e8
	// checkTolerance is for the losses of the first steps: rounding in sums of
	// up to some thousand terms.
	checkTolerance = 5e-4
	// roundedTolerance is for products of factors rounded to bfloat16, by 2⁻⁹ of each.
	roundedTolerance = 5e-3
)

// Check compares an executor with the reference on the first steps of each
// different program in a case: what is wrong from the start is found before
// anything is timed.
func Check(ctx context.Context, e kernels.Executor, c Case) error {
	seen := map[string]bool{}
	for _, v := range c.Variants {
		if seen[v.Program().Name] {
			continue
		}
		seen[v.Program().Name] = true
		v.Batch = max(1, min(v.Batch, int(checkFLOPs/checkSteps/float64(v.Program().FLOPs()))))
		steps := min(checkSteps, v.StepsPerEpoch(c.Data.Train.Len())-1)
		if steps < 1 {
			continue
		}
		got, err := lossOf(ctx, e, v, c.Data, steps)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		want, err := lossOf(ctx, ref.New(), v, c.Data, steps)
		if err != nil {
			return err
		}
		tolerance := checkTolerance
		if !exact(e) {
			tolerance = roundedTolerance
		}
		if d := math.Abs(got - want); !(d <= tolerance*math.Abs(want)) {
			return fmt.Errorf("%s: after %d steps of %s the mean loss is %.6g, the reference's %.6g: its times do not count",
				e.Name(), steps, v.Program().Name, got, want)
		}
	}
	return nil
}

// lossOf is the mean loss of the first steps, fewer than an epoch.
func lossOf(ctx context.Context, e kernels.Executor, v kernels.Variant, data kernels.Data, steps int) (float64, error) {
	pop, err := e.Prepare(data, []kernels.Variant{v})
	if err != nil {
		return 0, err
	}
	defer pop.Close()
	if err := pop.Advance(ctx, []int{steps}, nil); err != nil {
		return 0, err
	}
	s, err := pop.State(0)
	return s.LossSum / float64(steps), err
}

// When the clock has stopped, some networks of every case (its samples) are
// trained by the reference too, for as many steps as were timed, from the same
// start. Their loss over the first LossExamples training images must then be
// the same, whoever trained them.
const (
	// LossExamples are enough to tell, and cost the reference little.
	LossExamples = 2000
	// sampleFLOPs is how far the reference goes for one network. A network
	// that costs more is a sample of the last timed steps alone: the reference
	// starts where the executor was before them.
	sampleFLOPs = 2.5e10
	// tailSteps are how many last steps those are at most: a round on a GPU is up to
	// 60,000 steps.
	tailSteps = 512
	// A case has a sample for each different program and its last network, and
	// more of them, evenly spread, up to caseFLOPs and maxWitnesses.
	caseFLOPs    = 1e10
	maxWitnesses = 64
	// lossTolerance is the largest relative difference between losses after the
	// same steps. Rounding grows along them: 1e-4 was seen after seven epochs. A
	// learning rate wrong by one per cent moves the loss of five by 4e-3.
	lossTolerance = 1e-3
	// peerTolerance is that for the mean over the networks of a peer, which
	// starts from the same weights but draws its own batches: the last ones
	// before the end move a single network's loss by up to a few per cent. And for
	// that of networks whose products are rounded to bfloat16.
	peerTolerance = 0.05
)

// reference remembers what the reference executor came to, since cases share
// networks.
type reference struct {
	losses map[trajectory]float64
}

// trajectory is a variant and how far it was trained.
type trajectory struct {
	variant  kernels.Variant
	examples int
	steps    int
}

// plan says how the runners of a case will be checked.
func (r *reference) plan(c Case, rounds int) *check {
	k := &check{c: c, steps: rounds * c.Steps, reference: r, marks: map[string][][][]float32{}}
	if c.Evaluate {
		return k
	}
	cost := func(i int) float64 {
		v := c.Variants[i]
		return float64(v.Program().FLOPs()) * float64(v.Batch)
	}
	add := func(i int) {
		if !slices.Contains(k.samples, i) {
			k.samples = append(k.samples, i)
		}
	}
	seen := map[string]bool{}
	most := 0.0 // FLOPs of a step
	for i, v := range c.Variants {
		if !seen[v.Program().Name] {
			seen[v.Program().Name] = true
			add(i)
			most = max(most, cost(i))
		}
	}
	add(len(c.Variants) - 1)
	if most*float64(k.steps) > sampleFLOPs {
		slices := max(1, c.Slices)
		last := c.Steps - c.Steps*(slices-1)/slices // steps of the last slice
		k.tail = min(last, tailSteps, max(1, int(sampleFLOPs/most)))
		if len(c.Peers) > 0 { // they train whole epochs
			k.tail = min(last, c.Variants[0].StepsPerEpoch(c.Data.Train.Len()))
		}
	}
	total := 0.0
	for _, i := range k.samples {
		total += cost(i) * float64(k.steps)
	}
	for n := 1; n < maxWitnesses; n++ {
		i := n * len(c.Variants) / maxWitnesses
		if total += cost(i) * float64(k.steps); total > caseFLOPs {
			break
		}
		add(i)
	}
	return k
}

// check is the comparison of a case's runners with the reference.
type check struct {
	c         Case
	reference *reference
	samples   []int // indices of variants
	steps     int   // timed, of each
	// tail is the number of steps before the end at which the reference takes
	// over the samples' weights; zero means the very start.
	tail  int
	marks map[string][][][]float32 // by runner, the samples' weights then
}

// verdict is what a runner came to, and the reference.
type verdict struct {
	loss, reference float64
	networks        int
}

// of are the samples among a runner's networks: the baseline has only the
// first.
func (k *check) of(r runner) []int {
	return slices.DeleteFunc(slices.Clone(k.samples), func(i int) bool { return i >= r.networks() })
}

// mark keeps where a runner's networks are, tail steps before the end.
func (k *check) mark(r runner) error {
	for _, i := range k.of(r) {
		w, err := r.weights(i)
		if err != nil {
			return err
		}
		k.marks[r.name()] = append(k.marks[r.name()], kernels.State{Params: w}.Clone().Params)
	}
	return nil
}

// verify compares a runner with the reference and fails if they differ.
func (k *check) verify(ctx context.Context, r runner) (verdict, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU()))
	if k.c.Evaluate {
		return k.verifyEvaluation(ctx, r)
	}
	samples := k.of(r)
	out := verdict{networks: len(samples)}
	got, err := k.lossesOf(ctx, r, samples)
	if err != nil {
		return out, err
	}
	want, err := k.referenceLosses(ctx, k.marks[r.name()], samples)
	if err != nil {
		return out, err
	}
	differ := func(who string, got, want, tolerance float64) error {
		if d := math.Abs(got - want); d <= tolerance*math.Abs(want) {
			return nil
		}
		return fmt.Errorf("%s, %s: after the %d timed steps the loss of %s is %.6g, the reference's %.6g: its times do not count",
			k.c.Name, r.name(), k.steps, who, got, want)
	}
	for j, i := range samples {
		out.loss += got[j] / float64(len(got))
		out.reference += want[j] / float64(len(want))
		if r.alike() {
			if err := differ(fmt.Sprintf("network %d", i), got[j], want[j], lossTolerance); err != nil {
				return out, err
			}
		}
	}
	if !r.alike() {
		return out, differ("its networks", out.loss, out.reference, peerTolerance)
	}
	return out, nil
}

// lossesOf are the losses of a runner's networks, by the reference.
func (k *check) lossesOf(ctx context.Context, r runner, networks []int) ([]float64, error) {
	variants, params := []kernels.Variant{}, [][][]float32{}
	for _, i := range networks {
		w, err := r.weights(i)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name(), err)
		}
		variants, params = append(variants, k.c.Variants[i]), append(params, w)
	}
	return k.train(ctx, variants, params, 0, 0)
}

// referenceLosses are those of the networks after the timed steps, trained by
// the reference from the start, or from marks.
func (k *check) referenceLosses(ctx context.Context, marks [][][]float32, networks []int) ([]float64, error) {
	losses := make([]float64, len(networks))
	variants, params, todo := []kernels.Variant{}, [][][]float32{}, []int{}
	for j, i := range networks {
		v := k.c.Variants[i]
		if loss, known := k.reference.losses[k.trajectory(v)]; known && k.tail == 0 {
			losses[j] = loss
			continue
		}
		start := v.InitialState().Params
		if k.tail > 0 {
			start = marks[j]
		}
		variants, params, todo = append(variants, v), append(params, start), append(todo, j)
	}
	from := 0
	if k.tail > 0 {
		from = k.steps - k.tail
	}
	found, err := k.train(ctx, variants, params, from, k.steps)
	if err != nil {
		return nil, fmt.Errorf("the reference: %w", err)
	}
	for n, j := range todo {
		losses[j] = found[n]
		if k.tail == 0 {
			if k.reference.losses == nil {
				k.reference.losses = map[trajectory]float64{}
			}
			k.reference.losses[k.trajectory(variants[n])] = found[n]
		}
	}
	return losses, nil
}

// trajectory names what the reference comes to with v. Schedules reach over
// v.Epochs, which is part of the name.
func (k *check) trajectory(v kernels.Variant) trajectory {
	return trajectory{v, k.c.Data.Train.Len(), k.steps}
}

// train trains networks by the reference from one step to another and returns
// their losses.
func (k *check) train(ctx context.Context, variants []kernels.Variant, params [][][]float32, from, to int) ([]float64, error) {
	if len(variants) == 0 {
		return nil, nil
	}
	data := k.c.Data
	data.Validation = data.Train
	if n := min(LossExamples, data.Train.Len()); n < data.Train.Len() {
		data.Validation.Pixels, data.Validation.Labels = data.Train.Pixels[:n*data.Train.Features], data.Train.Labels[:n]
	}
	pop, err := ref.New().Prepare(data, variants)
	if err != nil {
		return nil, err
	}
	defer pop.Close()
	until := make([]int, len(variants))
	for i, v := range variants {
		s := v.InitialState()
		s.Step, s.Params, until[i] = from, params[i], to
		if err := pop.Restore(i, s); err != nil {
			return nil, err
		}
	}
	if err := pop.Advance(ctx, until, nil); err != nil {
		return nil, err
	}
	losses := make([]float64, len(variants))
	for i := range variants {
		score, err := pop.Evaluate(ctx, i, kernels.Validation)
		if err != nil {
			return nil, err
		}
		losses[i] = score.Loss
	}
	return losses, nil
}

// verifyEvaluation compares how many images a runner took for something else.
// Rounding may decide between two classes for some of them.
func (k *check) verifyEvaluation(ctx context.Context, r runner) (verdict, error) {
	pop, err := ref.New().Prepare(k.c.Data, k.c.Variants)
	if err != nil {
		return verdict{}, err
	}
	defer pop.Close()
	out := verdict{loss: r.wrong(), networks: r.networks()}
	for i := range r.networks() {
		score, err := pop.Evaluate(ctx, i, kernels.Train)
		if err != nil {
			return out, err
		}
		out.reference += (1 - score.Accuracy()) / float64(r.networks())
	}
	if d := math.Abs(out.loss - out.reference); !(d <= evaluationTolerance) {
		return out, fmt.Errorf("%s, %s: it takes %.5f of the images for something else, the reference %.5f: its times do not count",
			k.c.Name, r.name(), out.loss, out.reference)
	}
	return out, nil
}

// evaluationTolerance is of all images: six of 60,000.
const evaluationTolerance = 1e-4
