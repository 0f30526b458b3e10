//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"errors"
	"sync"
)

// spareShare is the part of a device's memory that a spare worker may have, at most.
const spareShare = 1.0 / 4

// spare is the worker that the last population left, for the next one: with the data on
// the device, which is often the same, with memory, of which the host's takes long to be
// page-locked, and with the paces that it found out. The executor's end frees it, and
// so does the device's running out of memory.
type spare struct {
	mutex  sync.Mutex
	worker *worker
}

// worker is one for a new population.
func (g *gpu) worker() *worker {
	g.spare.mutex.Lock()
	defer g.spare.mutex.Unlock()
	if w := g.spare.worker; w != nil {
		g.spare.worker = nil
		return w
	}
	return &worker{gpu: g, plans: plans{}, paces: map[class]*pace{}, rows: map[int]*buffer{}}
}

// keep takes back a worker whose population is at its end, and closes it if one is kept
// already, if it has failed or if it has much of the device's memory.
func (g *gpu) keep(w *worker) error {
	if w.failed {
		return w.close()
	}
	if err := w.emptyMade(); err != nil {
		return errors.Join(unlessLost(err), w.close())
	}
	w.wave, w.plans, w.placed, w.together, w.budget, w.counts = nil, plans{}, program{}, 0, 0, counts{}
	bytes := 0
	for _, r := range w.lasting() {
		bytes += r.bytes
	}
	g.spare.mutex.Lock()
	defer g.spare.mutex.Unlock()
	if g.spare.worker != nil || float64(bytes) > spareShare*float64(g.device.MemoryBytes) {
		return w.close()
	}
	g.spare.worker = w
	return nil
}

// release closes the worker that is kept, if there is one.
func (g *gpu) release() (released bool, err error) {
	g.spare.mutex.Lock()
	w := g.spare.worker
	g.spare.worker = nil
	g.spare.mutex.Unlock()
	if w == nil {
		return false, nil
	}
	return true, w.close()
}
