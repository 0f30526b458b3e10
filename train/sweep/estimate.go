package sweep

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"vanilla/dataset"
	"vanilla/graph"
	"vanilla/internal/sample"
	"vanilla/kernels"
	"vanilla/train"
)

// Cost is what a plan takes. What depends on which points are selected is as if
// they were points like the others.
type Cost struct {
	Points        int     `json:"points"`
	LeftOut       int     `json:"left_out"` // see [Plan]
	Brackets      int     `json:"brackets"`
	Variants      int     `json:"variants"`
	Finals        int     `json:"final_variants"`
	NetworkEpochs float64 `json:"network_epochs"`
	// FLOP counts the products of training, as in [ir.Program.FLOPs].
	FLOP float64 `json:"flop"`
	// MostFLOP is as many if the costliest points of each bracket go on, as they do where large networks are better.
	MostFLOP float64 `json:"most_flop"`
	// MemoryBytes is about what the networks in training take at once, at most.
	MemoryBytes int64 `json:"memory_bytes"`
}

// Cost is what a shard of a plan takes with so much memory allowed, 0 for the
// default.
func (p *Plan) Cost(shard Shard, memory int64) (Cost, error) {
	b, err := newBoard(context.Background(), p, shard, nil)
	if err != nil {
		return Cost{}, err
	}
	if memory == 0 {
		memory = defaultMemory
	}
	c := Cost{LeftOut: p.LeftOut, Brackets: len(shard.brackets(p))}
	var sum, largest int64
	rungs := p.Spec.Rungs()
	for _, bracket := range shard.brackets(p) {
		points := p.Brackets[bracket]
		c.Points += len(points)
		for _, point := range points {
			each := machineBytes(p.like(point))
			sum += each * int64(p.Spec.Seeds)
			largest = max(largest, each)
			if len(p.Spec.Halving) == 0 {
				c.NetworkEpochs += float64(p.like(point).Recipe.Epochs * p.Spec.Seeds)
			}
		}
		for rung, epochs := range p.Spec.Halving {
			if rung > 0 {
				epochs -= rungs[rung-1]
			}
			c.NetworkEpochs += float64(p.Quota(bracket, rung) * epochs * p.Spec.Seeds)
		}
	}
	var search int
	search, c.Finals = p.Planned(shard)
	c.Variants = search + c.Finals
	c.NetworkEpochs += float64(c.Finals * p.Points[0].Recipe.Epochs)
	c.FLOP = b.left() * float64(p.trained())
	c.MostFLOP = max(c.FLOP, p.costliest(shard)*float64(p.trained()))
	c.MemoryBytes = min(sum, max(memory, largest*int64(runtime.GOMAXPROCS(0))))
	return c, nil
}

// costliest is the work of a shard if the costliest points of each bracket are
// selected, in products per training example.
func (p *Plan) costliest(shard Shard) (work float64) {
	rungs := p.Spec.Rungs()
	var last []float64
	for _, bracket := range shard.brackets(p) {
		var each []float64
		for _, point := range p.Brackets[bracket] {
			each = append(each, flops(p.like(point).Recipe.Arch))
		}
		slices.SortFunc(each, func(a, b float64) int { return cmp.Compare(b, a) })
		if len(p.Spec.Halving) == 0 {
			for _, point := range p.Brackets[bracket] {
				work += flops(p.like(point).Recipe.Arch) * float64(p.like(point).Recipe.Epochs*p.Spec.Seeds)
			}
			last = append(last, each...)
			continue
		}
		for rung, epochs := range rungs {
			if rung > 0 {
				epochs -= rungs[rung-1]
			}
			each = each[:min(len(each), p.Quota(bracket, rung))]
			for _, f := range each {
				work += f * float64(epochs*p.Spec.Seeds)
			}
		}
		last = append(last, each...)
	}
	if !shard.whole() {
		return work
	}
	slices.SortFunc(last, func(a, b float64) int { return cmp.Compare(b, a) })
	for _, f := range last[:min(len(last), p.Finalists())] {
		work += f * float64(p.Points[0].Recipe.Epochs*p.Spec.FinalSeeds)
	}
	return work
}

// trained is the number of images that are not held out.
func (p *Plan) trained() int {
	return p.Data.Train - train.HeldOut(p.Data.Train, p.Spec.Recipe.Validation)
}

// What a device's speed is measured with.
const (
	sampledPoints = 16
	sampledSteps  = 50
	sampledRounds = 7
)

// Speedometer measures how many products an executor computes in a second of
// training points of a plan, from the smallest to the largest. It measures in
// short rounds, so that several executors can take turns and what else the machine
// does shows as a spread, and is not taken for the executor's speed.
type Speedometer struct {
	population kernels.Population
	steps      []int     // of a variant in a round
	most       []int     // that a variant has
	until      []int     // that it was trained for
	work       []float64 // of a step
	rates      []float64
}

// NewSpeedometer prepares networks and warms them up. Whoever opens it closes it.
func (p *Plan) NewSpeedometer(ctx context.Context, exec kernels.Executor, data *dataset.Dataset) (*Speedometer, error) {
	order := make([]int, len(p.Points))
	cost := make([]float64, len(p.Points))
	for i := range order {
		order[i], cost[i] = i, flops(p.Points[i].Recipe.Arch)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cost[a], cost[b]) })
	n := min(sampledPoints, len(order))
	set := train.HoldOut(data, p.Spec.Recipe.Validation)
	var networks graph.Cache
	var variants []kernels.Variant
	s := &Speedometer{}
	for k := range n {
		point := order[k*(len(order)-1)/max(1, n-1)]
		r := p.Points[point].Recipe
		network, err := r.Build(&networks)
		if err != nil {
			return nil, err
		}
		v := train.Spec{Recipe: r, Seed: 1, OrderSeed: 1}.Variant(network)
		most := v.StepsPerEpoch(set.Train.Len()) * r.Epochs
		variants = append(variants, v)
		s.steps, s.most = append(s.steps, max(1, min(sampledSteps, (most-1)/sampledRounds))), append(s.most, most)
		s.until = append(s.until, min(1, most-1))
		s.work = append(s.work, cost[point]*float64(min(v.Batch, set.Train.Len())))
	}
	var err error
	if s.population, err = exec.Prepare(set, variants); err != nil {
		return nil, err
	}
	if err := s.population.Advance(ctx, s.until, nil); err != nil {
		return nil, errors.Join(err, s.population.Close())
	}
	return s, nil
}

// Round trains for a round and notes how fast that was. more is false once the
// networks are trained, or there were as many rounds as are needed.
func (s *Speedometer) Round(ctx context.Context) (more bool, err error) {
	ended, work := true, 0.
	for i := range s.until {
		before := s.until[i]
		s.until[i] = min(s.most[i], before+s.steps[i])
		work += s.work[i] * float64(s.until[i]-before)
		ended = ended && s.until[i] == s.most[i]
	}
	start := time.Now()
	if err := s.population.Advance(ctx, s.until, nil); err != nil {
		return false, err
	}
	s.rates = append(s.rates, work/time.Since(start).Seconds())
	return !ended && len(s.rates) < sampledRounds, nil
}

// Speed is the median of the rounds, in products a second, and the slowest and the
// fastest of them.
func (s *Speedometer) Speed() (slowest, median, fastest float64) {
	_, median, _ = sample.Quartiles(s.rates)
	return slices.Min(s.rates), median, slices.Max(s.rates)
}

// Close frees the networks.
func (s *Speedometer) Close() error { return s.population.Close() }
