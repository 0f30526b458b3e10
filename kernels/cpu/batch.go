package cpu

import "fmt"

// batch is examples that run together.
type batch struct {
	input  *input
	asked  []int32 // their rows in input, as they were given
	rows   []int32 // the same in the order in which they run
	labels []byte  // of rows, padded to whole panels
	// examples are their records, if layers read these, and cold the buffer for the
	// values of their cold columns.
	examples []example
	cold     int
	packed   []packedExample
	// ordered keeps the examples in the order in which they were given: random
	// numbers belong to places in the batch.
	ordered bool
}

// newBatch holds up to so many examples.
func newBatch(capacity int, reads bool) *batch {
	b := &batch{asked: make([]int32, capacity), rows: make([]int32, capacity), labels: make([]byte, padded(capacity))}
	if reads {
		b.examples, b.packed = make([]example, capacity), make([]packedExample, capacity)
	}
	return b
}

// forget makes the batch equal none.
func (b *batch) forget() { b.input = nil }

// take makes the batch of rows of in, at most as many as it holds. Where records
// are read, it puts them in the order of their lengths, so that the loops over
// them end where the processor expects it.
func (b *batch) take(in *input, rows []int32) error {
	b.forget()
	b.asked, b.rows = b.asked[:len(rows)], b.rows[:len(rows)]
	copy(b.asked, rows)
	for _, r := range rows {
		if uint(r) >= uint(len(in.Labels)) {
			return fmt.Errorf("example %d of %d", r, len(in.Labels))
		}
	}
	b.input = in
	if b.examples == nil {
		copy(b.rows, rows)
		for i, r := range rows {
			b.labels[i] = in.Labels[r]
		}
		return nil
	}
	packed := b.packed[:len(rows)]
	for i, r := range rows { // by themselves: they come from far, several at once
		packed[i] = in.examples[r]
	}
	var next [lengths]uint32 // of each class, first their number, then the next one's index
	for _, s := range packed {
		next[b.class(s)]++
	}
	index := uint32(0)
	for i, n := range next {
		next[i] = index
		index += n
	}
	b.examples = b.examples[:len(rows)]
	for i, s := range packed {
		c := b.class(s)
		at := next[c]
		next[c]++
		b.examples[at] = example{exampleRecord: uint32(s >> 32), exampleCount: uint32(s) >> 8}
		b.rows[at], b.labels[at] = rows[i], byte(s)
	}
	first := uint32(0)
	for i := range b.examples {
		s := &b.examples[i]
		s[exampleFirst] = first
		first += (s[exampleCount] + lanes - 1) &^ (lanes - 1)
	}
	b.cold = int(first)
	return nil
}

// target is what the outputs for example i are to be, by class; nil if that is its
// label with certainty.
func (b *batch) target(i, classes int) []float32 {
	targets := b.input.Targets
	if targets == nil {
		return nil
	}
	at := int(b.rows[i]) * classes
	if targets[at+int(b.labels[i])] == 1 {
		return nil
	}
	return targets[at : at+classes]
}

// class orders the examples: those of one class keep their order.
func (b *batch) class(s packedExample) int {
	if b.ordered {
		return 0
	}
	return lengthClass(s)
}

// lengths is how many classes of lengths are told apart, lengthStep how many cold
// pixels one spans.
const (
	lengths    = 32
	lengthStep = 8
)

func lengthClass(s packedExample) int {
	return min((int(uint32(s)>>8)+lengthStep-1)/lengthStep, lengths-1)
}
