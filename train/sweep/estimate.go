package sweep

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"time"

	"vanilla/graph"
	"vanilla/kernels"
	"vanilla/mnist"
	"vanilla/train"
)

// Cost is what a plan takes. What depends on which points are selected is as if
// they were points like the others.
type Cost struct {
	Points        int     `json:"points"`
	Brackets      int     `json:"brackets"`
	Variants      int     `json:"variants"`
	Finals        int     `json:"final_variants"`
	NetworkEpochs float64 `json:"network_epochs"`
	// FLOP counts the products of training, as in [ir.Program.FLOPs].
	FLOP float64 `json:"flop"`
	// MemoryBytes is about what the networks in training take at once, at most.
	MemoryBytes int64 `json:"memory_bytes"`
}

// Cost is what a shard of a plan takes with so much memory allowed, 0 for the
// default.
func (p *Plan) Cost(shard Shard, memory int64) (Cost, error) {
	b, err := newBoard(p, shard, nil)
	if err != nil {
		return Cost{}, err
	}
	if memory == 0 {
		memory = defaultMemory
	}
	c := Cost{Brackets: len(shard.brackets(p))}
	var sum, largest int64
	rungs := p.Spec.Rungs()
	for _, bracket := range shard.brackets(p) {
		points := p.Brackets[bracket]
		c.Points += len(points)
		for _, point := range points {
			each := machineBytes(&p.Points[point])
			sum += each * int64(p.Spec.Seeds)
			largest = max(largest, each)
			if len(p.Spec.Halving) == 0 {
				c.NetworkEpochs += float64(p.Points[point].Recipe.Epochs * p.Spec.Seeds)
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
	c.MemoryBytes = min(sum, max(memory, largest*int64(runtime.GOMAXPROCS(0))))
	return c, nil
}

// trained is the number of images that are not held out.
func (p *Plan) trained() int {
	return p.Data.Train - int(float64(p.Data.Train)*p.Spec.Recipe.Validation+0.5)
}

// What a device's speed is measured with.
const (
	sampledPoints = 16
	sampledSteps  = 100
)

// Speed measures how many products an executor computes in a second of training
// points of the plan, from the smallest to the largest.
func (p *Plan) Speed(ctx context.Context, exec kernels.Executor, data *mnist.Dataset) (flopPerSecond float64, err error) {
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
	warm, until := make([]int, n), make([]int, n)
	work := 0.0
	for k := range n {
		point := order[k*(len(order)-1)/max(1, n-1)]
		r := p.Points[point].Recipe
		network, err := r.Build(&networks)
		if err != nil {
			return 0, err
		}
		v := train.Spec{Recipe: r, Seed: 1, OrderSeed: 1}.Variant(network)
		steps := min(sampledSteps, v.StepsPerEpoch(set.Train.Len()))
		variants = append(variants, v)
		warm[k], until[k] = 1, 1+steps
		work += cost[point] * float64(steps*min(v.Batch, set.Train.Len()))
	}
	population, err := exec.Prepare(set, variants)
	if err != nil {
		return 0, err
	}
	defer population.Close()
	if err := population.Advance(ctx, warm, nil); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := population.Advance(ctx, until, nil); err != nil {
		return 0, err
	}
	return work / time.Since(start).Seconds(), nil
}
