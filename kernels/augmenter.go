package kernels

import "vanilla/kernels/warp"

// augmenter makes the batches that a variant trains on where they are not the
// training set's rows themselves, in memory that it keeps.
type augmenter struct {
	data    *Data
	variant *Variant
	amounts Amounts
	field   *Field       // nil without elastic bending
	warper  *warp.Warper // nil if images are moved at most
	noise   *noiseImages // nil if there are none
	e       Examples
	fetched byte // uses what fetch reads
}

// augments is whether a variant needs an augmenter.
func (v *Variant) augments() bool { return v.Augment != Augment{} || v.NoiseShare > 0 }

// newAugmenter makes one for a variant, with what the variants of a population
// share.
func newAugmenter(d *Data, v *Variant, s *shared) *augmenter {
	a := &augmenter{data: d, variant: v}
	if v.Elastic > 0 {
		a.field = s.field(v.ElasticSigma, d)
	}
	a.amounts = v.Augment.Amounts(a.field)
	if v.Warps() {
		a.warper = warp.New(d.Rows, d.Cols)
	}
	if v.NoiseShare > 0 {
		a.noise = newNoiseImages(v, d, s)
	}
	return a
}

// ahead is how many examples are fetched before the first of them is copied.
const ahead = 32

// fetch reads a byte of each cache line of the given rows. They stand in memory
// in random order, and a processor waits for many lines at once if there is
// nothing between the reads.
func (a *augmenter) fetch(e *Examples, rows []int32) {
	sum := byte(0)
	for _, r := range rows {
		row := e.Row(int(r))
		for at := 0; at < len(row); at += 64 {
			sum += row[at]
		}
	}
	a.fetched = sum
}

// spare is what follows a batch's pixels: a Warper writes there.
const spare = 32

// batch returns the given rows of the training set, which stand in an epoch's order
// from a position on, as the variant trains on them.
func (a *augmenter) batch(epoch, from int, rows []int32) Examples {
	d, v := a.data, a.variant
	features := d.Train.Features
	if need := len(rows) * features; cap(a.e.Pixels) < need+spare {
		a.e = Examples{Pixels: make([]byte, need, need+spare), Labels: make([]byte, len(rows)), Features: features}
	}
	a.e.Pixels, a.e.Labels = a.e.Pixels[:len(rows)*features], a.e.Labels[:len(rows)]
	for i, r := range rows {
		if i%ahead == 0 {
			a.fetch(&d.Train, rows[i:min(i+ahead, len(rows))])
		}
		a.image(a.e.Pixels[i*features:(i+1)*features], d.Train.Row(int(r)), epoch, int(r))
		a.e.Labels[i] = d.Train.Labels[r]
	}
	if d.Train.Targets != nil || a.noise != nil {
		a.e.Targets = a.e.Targets[:0]
		for _, r := range rows {
			a.e.Targets = d.Train.AppendTarget(a.e.Targets, int(r), d.Classes)
		}
	}
	if a.noise != nil {
		for i, r := range rows {
			if a.noise.draw(a.e.Row(i), d.Train.Row(int(r)), v.OrderSeed, epoch, from+i) {
				even := 1 / float32(d.Classes)
				for c := range d.Classes {
					a.e.Targets[i*d.Classes+c] = even
				}
			}
		}
	}
	return a.e
}

// image writes an example as it is in an epoch to to.
func (a *augmenter) image(to, from []byte, epoch, example int) {
	d := a.data
	if a.warper == nil {
		down, right := ShiftOf(a.variant.OrderSeed, epoch, example, a.variant.Shift)
		shift(to, from, d.Cols, down, right)
		return
	}
	c := a.amounts.changeOf(a.variant.OrderSeed, epoch, example, d.Rows, d.Cols)
	if a.field == nil {
		a.warper.Warp(to, from, c.stroke, c.affine, nil)
		return
	}
	a.warper.Warp(to, from, c.stroke, c.affine, &warp.Field{
		DX: a.field.at(c.acrossX, c.acrossY), DY: a.field.at(c.downwardX, c.downwardY),
		Stride: a.field.Stride, Gain: a.amounts.Gain,
	})
}

// shift copies an image of the given width, moved; what enters is zero.
func shift(to, from []byte, cols, down, right int) {
	if down == 0 && right == 0 {
		copy(to, from)
		return
	}
	// Rows follow one another, so the image is moved as a whole: a copy for each
	// row takes twice as long. What leaves a row enters the next.
	by := down*cols + right
	gap := max(0, by)
	moved := gap + copy(to[gap:], from[max(0, -by):])
	clear(to[:gap])
	clear(to[moved:])
	first := 0
	if right < 0 {
		first = cols + right
	}
	for x := first; x < first+max(right, -right); x++ {
		for at := x; at < len(to); at += cols {
			to[at] = 0
		}
	}
}

// Augmented returns the training set's examples of the given numbers as a variant
// trains on them in an epoch, in whose order they stand from a position on. It fails if
// the variant's changes or the data cannot be.
func Augmented(d Data, v Variant, epoch, from int, rows []int32) (Examples, error) {
	if err := firstError(d.Check(), v.Augment.Check(), v.checkNoiseShare(), v.Augment.Fits(d.Rows, d.Cols)); err != nil {
		return Examples{}, err
	}
	return newAugmenter(&d, &v, &shared{}).batch(epoch, from, rows), nil
}
