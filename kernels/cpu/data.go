package cpu

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
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
)

// dataset is the data of a population in the form that kernels read: records.
// It is shared by all machines and immutable, but that the records of a split
// are made when first needed.
type dataset struct {
	splits [3]input
	// order is the columns by record: the hot ones first, which are there for
	// every example; those from hot on only where they are not zero.
	order []int
	hot   int // a multiple of 16, of which those beyond the columns are zero
	place []int
	cold  []byte // by column: 255 if it is cold
}

// input is one split.
type input struct {
	kernels.Examples
	encode  sync.Once
	records []byte
	samples []packedSample
	index   []uint16 // room for those of one record's cold pixels
}

// packedSample is an example's record, the number of its cold pixels and its
// label in 32, 24 and 8 bits: they are looked up in random order.
type packedSample uint64

// newDataset decides between hot and cold columns by the training set's
// density.
func newDataset(data kernels.Data, hotDensity float64) *dataset {
	d := &dataset{}
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
	hot, _ := slices.BinarySearchFunc(d.order, hotDensity*float64(seen), func(c int, least float64) int {
		return cmp.Compare(least, float64(used[c]))
	})
	d.hot = min((hot+lanes/2)/lanes*lanes, padded(columns))
	if columns-d.hot > coldColumns {
		d.hot = padded(columns - coldColumns)
	}
	// Columns that are neighbours stay close together.
	slices.Sort(d.order[:min(d.hot, columns)])
	slices.Sort(d.order[min(d.hot, columns):])
	d.place, d.cold = make([]int, columns), make([]byte, columns)
	for k, c := range d.order {
		if d.place[c] = k; k >= d.hot {
			d.cold[c] = math.MaxUint8
		}
	}
	return d
}

// columns is the number of columns.
func (d *dataset) columns() int { return len(d.order) }

// find is the split that e is, or an input of its own for other examples.
func (d *dataset) find(e kernels.Examples) *input {
	for s := range d.splits {
		in := &d.splits[s]
		if e.Len() == in.Len() && e.Len() > 0 && &e.Pixels[0] == &in.Pixels[0] && &e.Labels[0] == &in.Labels[0] {
			return in
		}
	}
	return &input{Examples: e}
}

// encode makes the split's records if they are not there.
func (d *dataset) encode(in *input) { in.encode.Do(func() { d.write(in) }) }

// write makes the records of in's examples, in the memory of those that were
// there if it suffices.
func (d *dataset) write(in *input) {
	used := len(in.Pixels) - bytes.Count(in.Pixels, []byte{0})
	// At most: the hot columns, three bytes for each of the others that is not
	// zero, and padding. A record may be read in whole vectors.
	most := in.Len()*(d.hot+3*(coldStep-1)+recordLine) + 3*used + recordLine
	if cap(in.records) < most {
		in.records = hugePages[byte](most)
	} else {
		in.records = in.records[:most]
		clear(in.records)
	}
	if cap(in.samples) < in.Len() {
		in.samples = make([]packedSample, in.Len())
	}
	if in.index == nil {
		in.index = make([]uint16, d.columns()+coldStep)
	}
	in.samples = in.samples[:in.Len()]
	index := in.index
	at := 0
	for i := range in.Len() {
		row, r := in.Row(i), in.records[at:]
		for k, c := range d.order[:min(d.hot, len(row))] {
			r[k] = row[c]
		}
		cold, n := r[d.hot:], 0
		for c := 0; c < len(row); c += 8 { // eight columns at a time: most are zero
			for left := word(row[c:]) & word(d.cold[c:]); left != 0; n++ {
				k := bits.TrailingZeros64(left) / 8
				cold[n], index[n] = byte(left>>(8*k)), uint16((d.place[c+k]-d.hot)*8)
				left &^= 0xff << (8 * k)
			}
		}
		for ; n%coldStep != 0; n++ {
			cold[n], index[n] = 0, uint16((d.columns()-d.hot)*8)
		}
		for e, k := range index[:n] {
			binary.LittleEndian.PutUint16(cold[n+2*e:], k)
		}
		in.samples[i] = packedSample(at/recordLine)<<32 | packedSample(n)<<8 | packedSample(in.Labels[i])
		at += (d.hot + 3*n + recordLine - 1) / recordLine * recordLine
	}
	in.records = in.records[:at+recordLine]
}

// word is the first eight bytes, the first one lowest, with zeros for those that
// are missing.
func word(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	var all [8]byte
	copy(all[:], b)
	return binary.LittleEndian.Uint64(all[:])
}
