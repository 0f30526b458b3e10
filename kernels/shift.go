package kernels

// shifter makes shifted copies of examples, in memory that it keeps.
type shifter struct {
	e       Examples
	fetched byte // uses what fetch reads
}

// ahead is how many examples are fetched before the first of them is copied.
const ahead = 32

// fetch reads a byte of each cache line of the given rows. They stand in memory
// in random order, and a processor waits for many lines at once if there is
// nothing between the reads.
func (s *shifter) fetch(e *Examples, rows []int32) {
	sum := byte(0)
	for _, r := range rows {
		row := e.Row(int(r))
		for at := 0; at < len(row); at += 64 {
			sum += row[at]
		}
	}
	s.fetched = sum
}

// batch returns the given rows of the training set, each shifted.
func (s *shifter) batch(d *Data, v *Variant, epoch int, rows []int32) Examples {
	features := d.Train.Features
	if need := len(rows) * features; cap(s.e.Pixels) < need {
		s.e = Examples{Pixels: make([]byte, need), Labels: make([]byte, len(rows)), Features: features}
	}
	s.e.Pixels, s.e.Labels = s.e.Pixels[:len(rows)*features], s.e.Labels[:len(rows)]
	for i, r := range rows {
		if i%ahead == 0 {
			s.fetch(&d.Train, rows[i:min(i+ahead, len(rows))])
		}
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
