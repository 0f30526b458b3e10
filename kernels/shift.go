package kernels

// shifter makes shifted copies of examples, in memory that it keeps.
type shifter struct{ e Examples }

// batch returns the given rows of the training set, each shifted.
func (s *shifter) batch(d *Data, v *Variant, epoch int, rows []int32) Examples {
	features := d.Train.Features
	if need := len(rows) * features; cap(s.e.Pixels) < need {
		s.e = Examples{Pixels: make([]byte, need), Labels: make([]byte, len(rows)), Features: features}
	}
	s.e.Pixels, s.e.Labels = s.e.Pixels[:len(rows)*features], s.e.Labels[:len(rows)]
	for i, r := range rows {
		down, right := ShiftOf(v.OrderSeed, epoch, int(r), v.Shift)
		shift(s.e.Row(i), d.Train.Row(int(r)), d.Cols, down, right)
		s.e.Labels[i] = d.Train.Labels[r]
	}
	return s.e
}

// ShiftOf is how far an example is moved in an epoch: down and to the right,
// each uniform in -limit..limit.
func ShiftOf(orderSeed uint64, epoch, example, limit int) (down, right int) {
	r := draw(orderSeed, streamShift, uint64(epoch)<<32|uint64(uint32(example)))
	places := uint64(2*limit + 1)
	return int(uint64(r[0])*places>>32) - limit, int(uint64(r[1])*places>>32) - limit
}

// shift copies an image of the given width, moved; what enters is zero.
func shift(to, from []byte, cols, down, right int) {
	clear(to)
	rows := len(from) / cols
	left, width := max(0, -right), cols-max(right, -right) // of what stays, in from
	for y := max(0, -down); y < min(rows, rows-down); y++ {
		source := from[y*cols+left:][:width]
		copy(to[(y+down)*cols+left+right:], source)
	}
}
