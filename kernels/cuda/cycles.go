//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vanilla/kernels"
)

//go:embed model/cycles.txt
var modelled string

// What the generic kernel takes for a unit of stepWork, by the model: 122,000 cycles
// for a step of 784-16-16-10 at batch 32 in a block alone, and 68,000 of a
// multiprocessor that runs two, which is the table's row.
const genericAlone, genericShared = 0.057, 0.032

// Cycles is what a step of a variant is expected to take on a device: of a block that
// is alone on a multiprocessor, and of a multiprocessor that runs as many as fit. It
// is a model's number, which no device has confirmed, and has nothing in it for
// changes of images.
func (e *executor) Cycles(v kernels.Variant) (alone, shared float64, err error) {
	c, f, _, err := e.classOf(wanted{v.Program(), v.Optimizer, v.Batch, v.Shift, v.Batch, moreThanMoved(&v)})
	if err != nil {
		return 0, 0, err
	}
	if c.stream {
		cycles, err := modelledStream(c, f.stream, v.Batch)
		return cycles, cycles, err // a multiprocessor runs one block
	}
	if c.spread {
		made, err := makePlan(spreadPlanKey(v.Program(), v.Optimizer, v.Batch, v.Batch))
		if err != nil {
			return 0, 0, err
		}
		s := sequenceOf(made)
		return s.cycles(), s.cycles() * float64(e.gpus[0].device.SMs), nil // all of them are busy with it
	}
	if !c.resident() {
		work := stepWork(&v, v.Batch)
		return genericAlone * work, genericShared * work, nil
	}
	blocks, cycles, err := modelledPart(c.kernel())
	if err != nil {
		return 0, 0, err
	}
	n := parts(v.Batch)
	return n * blocks * cycles, n * cycles, nil
}

// parts is how many parts of partRows examples a batch is taken in.
func parts(batch int) float64 { return float64((batch + partRows - 1) / partRows) }

// modelledPart is how many blocks of a resident kernel a multiprocessor runs, and what
// it takes for a part of one's step.
func modelledPart(kernel string) (blocks, cycles float64, err error) {
	rows, err := modelledRows(kernel)
	if err != nil {
		return 0, 0, err
	}
	return rows[0].blocks, rows[0].cycles / parts(rows[0].batch), nil
}

// modelledStream is what a streaming kernel takes for a step. The model has steps of
// some networks; others are between them, by how many tiles are multiplied with how
// many parts of partRows examples. One that is smaller than all takes what the smallest
// does, and a larger one is in proportion to the largest. A kernel without rows is
// between those that keep an array less and one more.
func modelledStream(c class, s *streamPlan, batch int) (float64, error) {
	if c.slots == 1 {
		less, more := c, c
		less.slots, more.slots = 0, 2
		a, err := modelledStream(less, s, batch)
		if err != nil {
			return 0, err
		}
		b, err := modelledStream(more, s, batch)
		return (a + b) / 2, err
	}
	rows, err := modelledRows(c.kernel())
	if err != nil {
		return 0, err
	}
	type step struct{ work, cycles float64 }
	var known []step
	for _, r := range rows {
		if (r.batch > partRows) == (batch > partRows) { // others go through the first layer twice
			known = append(known, step{parts(r.batch) * layerTiles(r.widths), r.cycles})
		}
	}
	slices.SortFunc(known, func(a, b step) int { return cmp.Or(cmp.Compare(a.work, b.work), cmp.Compare(b.cycles, a.cycles)) })
	known = slices.CompactFunc(known, func(a, b step) bool { return a.work == b.work }) // the larger of batches that are one part
	widths := []int32{s.layers[0].In}
	for _, l := range s.layers {
		widths = append(widths, l.Out)
	}
	work := parts(batch) * layerTiles(widths)
	for i, k := range known {
		switch {
		case work > k.work:
		case i == 0 || work == k.work:
			return k.cycles, nil
		default:
			below := known[i-1]
			return below.cycles + (k.cycles-below.cycles)*(work-below.work)/(k.work-below.work), nil
		}
	}
	largest := known[len(known)-1]
	return largest.cycles * work / largest.work, nil
}

// layerTiles is how many tiles the weights of a chain take.
func layerTiles(widths []int32) float64 {
	n := 0
	for i, out := range widths[1:] {
		n += tiles(widths[i]) * tiles(out)
	}
	return float64(n)
}

// modelledRow is a row of the model's table.
type modelledRow struct {
	widths         []int32
	batch          int
	blocks, cycles float64 // of a multiprocessor: blocks that it runs, and what it takes for a step of one
}

// modelledRows are the rows of a kernel.
func modelledRows(kernel string) ([]modelledRow, error) {
	var rows []modelledRow
	for line := range strings.Lines(modelled) {
		f := strings.Fields(line)
		if len(f) < 7 || f[0] != kernel {
			continue
		}
		var r modelledRow
		for _, width := range strings.Split(f[1], "-") {
			n, err := strconv.ParseInt(width, 10, 32)
			if err != nil {
				return nil, err
			}
			r.widths = append(r.widths, int32(n))
		}
		if _, err := fmt.Sscan(f[3]+" "+f[4]+" "+f[6], &r.batch, &r.blocks, &r.cycles); err != nil {
			return nil, fmt.Errorf("the model's row %q: %w", line, err)
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("the model has no %s", kernel)
	}
	return rows, nil
}
