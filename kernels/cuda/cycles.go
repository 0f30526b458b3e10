//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"vanilla/kernels"
)

//go:embed model/cycles.txt
var modelled string

// Cycles is what a step of a variant is expected to take on a device: of a block that
// is alone on a multiprocessor, and of a multiprocessor that runs as many as fit. It
// is a model's number, which no device has confirmed, and has nothing in it for
// changes of images.
func (e *executor) Cycles(v kernels.Variant) (alone, shared float64, err error) {
	c, f, _, err := e.classOf(wanted{v.Program(), v.Optimizer, v.Batch, v.Shift, v.Batch, moreThanMoved(&v)})
	if err != nil {
		return 0, 0, err
	}
	if c.spread {
		s, err := spreadOf(&v, c, f.stream)
		if err != nil {
			return 0, 0, err
		}
		return s.cycles(), s.cycles() * float64(e.gpus[0].device.SMs), nil // all of them are busy with it
	}
	if !c.generic() {
		return modelledStep(c, f, v.Batch)
	}
	work := stepWork(&v, v.Batch)
	return genericAlone * work, genericShared * work, nil
}

// stepWork is the work of a step of a network of the class.
func (c class) stepWork(f form, v *kernels.Variant, batch int) (float64, error) {
	if c.generic() {
		return stepWork(v, batch), nil
	}
	if c.spread {
		s, err := modelledSpread(c, f.stream, batch)
		if err != nil {
			return 0, err
		}
		return s.cycles() / genericAlone, nil
	}
	alone, _, err := modelledStep(c, f, batch)
	return alone / genericAlone, err
}

// modelledStep is what a resident or streaming kernel that is not spread takes for a step,
// as Cycles says it.
func modelledStep(c class, f form, batch int) (alone, shared float64, err error) {
	if c.stream { // a multiprocessor runs one block
		alone, err = modelledStream(c, f.stream, batch)
		return alone, alone, err
	}
	blocks, cycles, err := modelledPart(c.kernel())
	shared = parts(batch) * cycles * depthShare(c, int(f.chain.Depth))
	return blocks * shared, shared, err
}

// depthShare is what a resident kernel takes for a step of so many layers, as a share of
// what it takes for the three of the model's table. A layer more or less is a fifth of
// them, or a tenth where other work is longer than the chain of layers: Adam's update,
// and what kernels for up to 32 units read of L2. So says the model where the loops over
// layers are tagged for five.
func depthShare(c class, depth int) float64 {
	layer := 0.2
	if c.slots == 2 || c.units > narrowUnits && (c.slots > 0 || c.parts) {
		layer = 0.1
	}
	return 1 + layer*float64(depth-3)
}

// spreadOf is the phases of a variant's steps, of a spread class.
func spreadOf(v *kernels.Variant, c class, s *streamPlan) (*sequence, error) {
	if c.stream {
		return modelledSpread(c, s, v.Batch)
	}
	made, err := makePlan(spreadPlanKey(v.Program(), v.Optimizer, v.Batch, v.Batch))
	if err != nil {
		return nil, err
	}
	return sequenceOf(made), nil
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

// modelledShared is the shared memory of a block of the device that the model is of.
const modelledShared = 227 << 10

// modelledSpread is the phases of a step of a spread streaming kernel. The model has
// steps of one network: others take as long for a tile and a part of partRows examples. A
// kernel without rows is between those that keep an array less and one more.
func modelledSpread(c class, s *streamPlan, batch int) (*sequence, error) {
	var cycles float64
	like := []class{c}
	if c.slots == 1 {
		like = []class{c, c}
		like[0].slots, like[1].slots = 0, 2
	}
	for _, c := range like {
		rows, err := modelledRows(c.kernel())
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(rows, func(r modelledRow) bool { return (r.batch > partRows) == (batch > partRows) })
		if i < 0 {
			return nil, fmt.Errorf("the model has no %s for batches like %d", c.kernel(), batch)
		}
		r, d := rows[i], &dense{}
		for l, out := range r.widths[1:] {
			d.layers = append(d.layers, packedLayer{In: r.widths[l], Out: out})
		}
		made, err := planStream(d, c, r.batch, modelledShared)
		if err != nil {
			return nil, err
		}
		none, one := made.sequence(c, r.batch, r.batch, 0).cycles(), made.sequence(c, r.batch, r.batch, 1).cycles()
		cycles += (r.cycles - none) / (one - none) / float64(len(like))
	}
	return s.sequence(c, batch, batch, cycles), nil
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
	table, err := modelledTable()
	if err == nil && len(table[kernel]) == 0 {
		err = fmt.Errorf("the model has no %s", kernel)
	}
	return table[kernel], err
}

// modelledTable is the rows of all kernels.
var modelledTable = sync.OnceValues(func() (map[string][]modelledRow, error) {
	table := map[string][]modelledRow{}
	for line := range strings.Lines(modelled) {
		f := strings.Fields(line)
		if len(f) < 7 || !strings.HasPrefix(f[0], "kernel_") {
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
		table[f[0]] = append(table[f[0]], r)
	}
	return table, nil
})
