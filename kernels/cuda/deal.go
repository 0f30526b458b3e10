package cuda

import (
	"cmp"
	"math"
	"slices"
)

// going is how far a network has to go.
type going struct {
	steps int     // left
	work  float64 // of a step
	most  int     // steps that a launch may have of it
}

func (g *going) left() float64 { return float64(g.steps) * g.work }

// launchWork is what a launch costs beside its steps, as work of a block: some 0.3 ms.
const launchWork = 0.3e-3 * blockWork

// copyWork is the work of a block while a byte of a network's state is copied to the host:
// 20 GB/s, assumed. All are copied behind each launch, while the next one runs.
const copyWork = blockWork / 20e9

// pieces is how many pieces of a block's work in a launch are so small that no network is
// loaded and stored for one.
const pieces = 16

// deal decides on a launch: how many steps each network takes, none if it takes no part.
// Blocks, grid of them at a time, take the networks of a launch costliest first. A block
// gets about most work, or a step if that is more.
//
// A network is on one block at a time. The end is so no sooner than that of the longest
// network, nor of all work on all blocks; and it is then, if no block ever waits and no
// network is late, with more to go than the launches to come will take (McNaughton,
// Management Science 6, 1959: networks may be put aside, here between launches). A launch
// therefore ends before more networks are late than there are blocks. Those that are have
// a block each. The others, the longest first, fill the blocks that are left, in as many
// whole rounds as there are networks for, and the shortest wait for the next launch.
// Where launches would become so short that what they cost beside their steps counts,
// they are longer, and the end is later by one of them at most. So they are where they
// would be shorter than least, the copies behind them.
func deal(all []going, grid int, most, least float64) []int {
	order := make([]int, 0, len(all))
	var total, longest, capped float64
	for i := range all {
		if g := &all[i]; g.steps > 0 {
			order = append(order, i)
			total, longest = total+g.left(), max(longest, g.left())
			capped = max(capped, float64(min(g.steps, g.most))*g.work)
		}
	}
	steps := make([]int, len(all))
	if len(order) == 0 {
		return steps
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(all[a].left(), all[b].left()) })
	end := max(longest, total/float64(grid))
	if wholly(all, order, grid, min(most, end+max(launchWork, least))) {
		for _, i := range order {
			steps[i] = all[i].steps // another launch would cost more than the blocks that wait in this one
		}
		return steps
	}

	most = min(most, end, capped*float64(max(1, len(order)/grid)))
	if len(order) > grid {
		most = min(most, max(end-all[order[grid]].left(), math.Sqrt(launchWork*end), least))
	}
	late := 0
	for late < min(len(order), grid) && all[order[late]].left() > end-most {
		late++
	}
	take := func(i int, want float64) (taken float64) {
		g := &all[i]
		steps[i] = min(g.steps, g.most)
		if want < g.left() {
			steps[i] = min(steps[i], max(1, int(want/g.work)))
		}
		return max(want, float64(steps[i])*g.work)
	}
	rooms := make([]float64, grid) // of blocks, those that are empty first
	var free float64
	for b := range rooms {
		rooms[b] = most
		if k := grid - 1 - b; k < late {
			rooms[b] -= take(order[k], min(most, all[order[k]].left()))
		}
		free += max(0, rooms[b])
	}
	if free == 0 {
		return steps
	}
	rounds := max(1, int(float64(len(order)-late)*most/free+1e-9))
	share, b := most/float64(rounds), 0
	for _, i := range order[late:] {
		g := &all[i]
		for b < grid && rooms[b] < most && rooms[b] < max(g.work, min(g.left(), share/2, most/pieces)) {
			b++
		}
		if b == grid {
			break
		}
		rooms[b] -= take(i, min(share, g.left(), rooms[b]))
	}
	return steps
}

// wholly is whether a launch of all steps that are left is allowed, and ends by then.
func wholly(all []going, order []int, grid int, end float64) bool {
	work := make([]float64, len(order))
	var total float64
	for k, i := range order {
		if all[i].steps > all[i].most {
			return false
		}
		work[k] = all[i].left()
		total += work[k]
	}
	return total <= end*float64(grid) && span(work, grid) <= end
}

// span is the work of the block that has most, where blocks, so many at a time as grid
// says, take these pieces one after the other.
func span(work []float64, grid int) float64 {
	if len(work) == 0 {
		return 0
	}
	blocks := make([]float64, min(grid, len(work))) // from the one that is free first
	for _, w := range work {
		now := blocks[0] + w
		k, _ := slices.BinarySearch(blocks[1:], now)
		copy(blocks, blocks[1:k+1])
		blocks[k] = now
	}
	return blocks[len(blocks)-1]
}
