package cpu

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sync"

	"vanilla/kernels"
)

const (
	// recordLine is what a record's beginning is aligned to: a cache line.
	recordLine = 64
	// coldStep is what the number of a record's cold pixels is padded to.
	coldStep = 4
	// coldColumns is how many cold columns a record can tell apart, besides the
	// one for padding: 16 bits hold 8 times the number.
	coldColumns = 1<<16/8 - 1
	// densitySample is from how many examples the density of columns is
	// measured.
	densitySample = 4096
	// encodeColumns is how many columns encode looks through at once, and
	// encodePadding how far it may read and write past what it is given.
	encodeColumns = 64
	encodePadding = 64
	// uncounted is for how many cold pixels there may be space without asking how
	// many are not zero.
	uncounted = 1 << 20
)

// encodedData is the data of a population in the form that kernels read: records.
// It is shared by all machines and immutable, but that the records of a split
// are made when first needed.
type encodedData struct {
	splits [3]input
	// order is the columns by record: the hot ones first, which are there for
	// every example; those from hot on only where they are not zero.
	order  []int
	hot    int   // a multiple of 16, of which those beyond the columns are zero
	stored []int // where each column is in order
	// routines and what its encode reads.
	routines *routines
	runs     []run
	cold     []byte
	index    []uint16
}

// input is one split.
type input struct {
	kernels.Examples
	encode   sync.Once
	records  []byte
	examples []packedExample
	index    []uint16 // buffer for those of one record's cold pixels
	last     []byte   // buffer for pixels at the end of the data
}

// packedExample is an example's record, the number of its cold pixels and its
// label in 32, 24 and 8 bits: they are looked up in random order.
type packedExample uint64

// encodeData decides between hot and cold columns by the training set's
// density.
func encodeData(data kernels.Data, r *routines) *encodedData {
	d := &encodedData{routines: r}
	for s := range d.splits {
		d.splits[s].Examples = data.Split(kernels.Split(s))
	}
	train := &d.splits[kernels.Train]
	columns := train.Features
	used, seen := make([]int, columns), 0
	for i := 0; i < train.Len(); i += (train.Len()-1)/densitySample + 1 {
		for c, v := range train.Row(i) {
			if v != 0 {
				used[c]++
			}
		}
		seen++
	}
	d.order = make([]int, columns)
	for c := range d.order {
		d.order[c] = c
	}
	slices.SortStableFunc(d.order, func(a, b int) int { return cmp.Compare(used[b], used[a]) })
	hot, _ := slices.BinarySearchFunc(d.order, r.hotDensity*float64(seen), func(c int, least float64) int {
		return cmp.Compare(least, float64(used[c]))
	})
	if seen == 0 { // nothing to go by: no column is left out
		hot = columns
	}
	d.hot = min((hot+lanes/2)/lanes*lanes, padded(columns))
	if columns-d.hot > coldColumns {
		d.hot = padded(columns - coldColumns)
	}
	// Columns that are neighbours stay close together.
	slices.Sort(d.order[:min(d.hot, columns)])
	slices.Sort(d.order[min(d.hot, columns):])
	d.stored = make([]int, columns)
	wide := (columns + encodeColumns - 1) / encodeColumns * encodeColumns
	d.cold, d.index = make([]byte, wide), make([]uint16, wide+coldStep)
	for k, c := range d.order {
		d.stored[c] = k
		if k >= d.hot {
			d.cold[c], d.index[c] = math.MaxUint8, uint16(8*(k-d.hot))
			continue
		}
		last := len(d.runs) - 1
		if last >= 0 && d.runs[last][1] < longestRun && int(d.runs[last][0]+d.runs[last][1]) == c {
			d.runs[last][1]++
		} else {
			d.runs = append(d.runs, run{uint32(c), 1})
		}
	}
	for k := range coldStep {
		d.index[wide+k] = uint16(8 * (columns - d.hot))
	}
	return d
}

// columns is the number of columns.
func (d *encodedData) columns() int { return len(d.order) }

// find is the split that e is, or an input of its own for other examples.
func (d *encodedData) find(e kernels.Examples) *input {
	for s := range d.splits {
		in := &d.splits[s]
		if e.Len() == in.Len() && e.Len() > 0 && &e.Pixels[0] == &in.Pixels[0] && &e.Labels[0] == &in.Labels[0] && len(e.Targets) == len(in.Targets) &&
			(e.Targets == nil || &e.Targets[0] == &in.Targets[0]) {
			return in
		}
	}
	return &input{Examples: e}
}

// encode makes the split's records if they are not there.
func (d *encodedData) encode(in *input) { in.encode.Do(func() { d.write(in, nil) }) }

// write makes the records of in's examples, in the memory of those that were
// there if it suffices. What stands between records has no meaning. Meanwhile it
// fetches rows of the training set, one for each example: from memory they take as
// long as a record takes to be made.
func (d *encodedData) write(in *input, fetch []int32) {
	columns, n := d.columns(), in.Len()
	// At most: the hot columns, three bytes for each of the others that is not
	// zero, and padding. Not to count them takes more memory and less time.
	used := n * (columns - min(d.hot, columns))
	if used > uncounted {
		used = len(in.Pixels) - bytes.Count(in.Pixels, []byte{0})
	}
	most := n*(d.hot+3*(coldStep-1)+recordLine) + 3*used + recordLine
	if cap(in.records) < most {
		in.records = hugePages[byte](most)
	}
	if cap(in.examples) < n {
		in.examples = make([]packedExample, n)
	}
	if in.index == nil {
		in.index = make([]uint16, columns+encodePadding)
		in.last = make([]byte, columns+encodePadding)
	}
	records := in.records[:most]
	in.examples = in.examples[:n]
	at := 0
	for i := range in.examples {
		row := in.Pixels[i*columns:]
		if len(row) < columns+encodePadding {
			row = in.last[:copy(in.last, row[:columns])+encodePadding]
		}
		count := d.routines.encode(records[at:], row, d.runs, d.cold, d.index, in.index, d.hot)
		if i < len(fetch) {
			d.routines.fetch(d.splits[kernels.Train].Row(int(fetch[i])))
		}
		in.examples[i] = packedExample(at/recordLine)<<32 | packedExample(count)<<8 | packedExample(in.Labels[i])
		at += (d.hot + 3*count + recordLine - 1) / recordLine * recordLine
	}
	in.records = records[:at+recordLine]
}
