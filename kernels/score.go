package kernels

// Score is the result of evaluating a network on a split.
type Score struct {
	N, Correct int
	// Loss is the program's loss with the whole split as one batch.
	Loss float64
	// Classes are the predicted classes [N]: the index of the largest output,
	// the first one among equals.
	Classes []byte
}

// Accuracy is the fraction of correct predictions, 0..1.
func (s Score) Accuracy() float64 { return float64(s.Correct) / float64(max(s.N, 1)) }

// Argmax is the index of the largest element, the first one among equals.
// NaN is never the largest.
func Argmax[T float32 | float64](row []T) int {
	best := 0
	for j, v := range row {
		if v > row[best] || row[best] != row[best] && v == v {
			best = j
		}
	}
	return best
}
