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

// pieces is how many pieces of a block's work in a launch are too small for a network to
// be loaded and stored for them.
const pieces = 16

// deal decides on a launch: how many steps each network takes, none of those that are
// left out. Blocks, so many at a time as grid says, take the networks of a launch
// costliest first, and none gets much more than most, but a step at least.
//
// A network is on one block at a time, so the end is no sooner than that of the longest
// network, nor of all work on all blocks. It is then, and no block ever waits, if all
// blocks have as much in each launch and no network is ever late: has more to go than
// the launches behind this one will take. A launch therefore ends before more networks
// are late than there are blocks. Those that are have a block each. The others, the
// longest first, fill the other blocks in as many whole rounds as there are of them, and
// the shortest wait: this is McNaughton's rule (Management Science 6, 1959, theorem 3.1)
// with networks put aside between launches alone. Where that takes launches so short that
// what they cost beside their steps counts, they are longer, and the end is later by one
// of them at most.
func deal(all []going, grid int, most float64) []int {
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
	if wholly(all, order, grid, min(most, end+launchWork)) {
		for _, i := range order {
			steps[i] = all[i].steps // another launch would cost more than the blocks that wait in this one
		}
		return steps
	}

	most = min(most, end, capped*float64(max(1, len(order)/grid)))
	if len(order) > grid {
		most = min(most, max(end-all[order[grid]].left(), math.Sqrt(launchWork*end)))
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
	rooms := make([]float64, grid) // of blocks
	var free float64
	for b := range rooms {
		rooms[b] = most
		if b < late {
			rooms[b] -= take(order[b], min(most, all[order[b]].left()))
		}
		free += max(0, rooms[b])
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
