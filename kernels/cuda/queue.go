package cuda

import (
	"slices"
	"sync"
)

// waveBytes bounds the state of the networks that are on a device at a time. A copy
// of it goes to the host behind each launch, twice as much of the host's memory is
// page-locked for it, and at a host's copying speed it takes some hundredths of a
// launch, while the next one runs. It is thousands of small networks, many times
// what a device runs at once.
const waveBytes = 256 << 20

// queue is the networks still to be trained, costliest first. Devices take waves
// from it.
type queue struct {
	mutex   sync.Mutex
	todo    []int // variants
	devices int
	class   func(variant int) class
	bytes   func(variant int) int
	cost    func(variant int) float64
}

// take returns a device's next wave, at most limit networks of one class: a part
// of what is left of it, from the costliest to the cheapest, so that all devices
// end together. What takes several waves is in about equal ones, so that no small one is
// left for the end. It is empty when nothing is left.
func (q *queue) take(limit int) []int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	var wave, rest []int
	var all, bytes, i int
	for _, v := range q.todo {
		if q.class(v) == q.class(q.todo[0]) {
			if i%q.devices == 0 {
				all += q.bytes(v)
			}
			i++
		}
	}
	i = 0
	waves := max(1, (all+waveBytes-1)/waveBytes)
	for _, v := range q.todo {
		if q.class(v) != q.class(q.todo[0]) {
			rest = append(rest, v)
			continue
		}
		size, mine := q.bytes(v), i%q.devices == 0
		i++
		if !mine || len(wave) >= limit || len(wave) > 0 && (bytes+size > waveBytes || bytes*waves >= all) {
			rest = append(rest, v)
			continue
		}
		wave, bytes = append(wave, v), bytes+size
	}
	q.todo = rest
	return wave
}

// put gives networks back.
func (q *queue) put(wave []int) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.todo = append(q.todo, wave...)
	q.sort()
}

func (q *queue) sort() {
	slices.SortStableFunc(q.todo, func(a, b int) int {
		switch ca, cb := q.cost(a), q.cost(b); {
		case ca > cb:
			return -1
		case ca < cb:
			return 1
		}
		return a - b
	})
}
