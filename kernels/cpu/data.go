package cpu

import (
	"bytes"
	"sync"

	"vanilla/kernels"
)

// record is one example's non-zero pixels in ascending order, each packed as
// column<<8 | byte. Four bytes a pixel, so that one load brings both.
type record = []uint32

// maxColumns is how many columns a record can tell apart.
const maxColumns = 1 << 24

// sparseDensity is the fraction of non-zero pixels up to which the first layer
// runs over records. A record's pixel costs the portable kernels about as much
// as 1.2 pixels of a dense row: BenchmarkDensity.
const sparseDensity = 0.85

// dataset is the data of a population in the form that kernels read. It is
// shared by all machines and immutable but for the records, which are made
// once per split when first needed.
type dataset struct {
	splits [3]input
	// pixel is byte / 255.
	pixel [256]float32
	// density is the training set's fraction of non-zero pixels.
	density func() float64
}

// input is one split.
type input struct {
	kernels.Examples
	encode  sync.Once
	entries []uint32
	ends    []int // record i is entries[ends[i]:ends[i+1]]
}

func newDataset(data kernels.Data) *dataset {
	d := &dataset{}
	for s := range d.splits {
		d.splits[s].Examples = data.Split(kernels.Split(s))
	}
	for v := range d.pixel {
		d.pixel[v] = float32(v) / 255
	}
	d.density = sync.OnceValue(func() float64 {
		pixels := data.Train.Pixels
		return 1 - float64(bytes.Count(pixels, []byte{0}))/float64(max(len(pixels), 1))
	})
	return d
}

// sparse decides between records and dense rows, from the training set.
func (d *dataset) sparse() bool {
	return d.splits[kernels.Train].Features <= maxColumns && d.density() <= sparseDensity
}

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

// records makes the split's records.
func (in *input) records() {
	in.encode.Do(func() {
		zeros := bytes.Count(in.Pixels, []byte{0})
		in.entries = make([]uint32, 0, len(in.Pixels)-zeros)
		in.ends = make([]int, 1, in.Len()+1)
		for i := range in.Len() {
			for c, v := range in.Row(i) {
				if v != 0 {
					in.entries = append(in.entries, uint32(c)<<8|uint32(v))
				}
			}
			in.ends = append(in.ends, len(in.entries))
		}
	})
}

func (in *input) record(i int) record { return in.entries[in.ends[i]:in.ends[i+1]] }
