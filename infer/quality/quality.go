// Package quality measures a classifier by what it makes of labelled examples: what
// it gets right of each class, how sure it is and whether it may be, and which of
// its units do nothing.
package quality

import (
	"cmp"
	"math"
	"slices"
)

// Quality is what a classifier makes of n examples in so many classes. Fractions
// are from 0 to 1. What cannot be said is nil: the precision of a class that no
// example is taken for, the recall of one that none has.
type Quality struct {
	N int `json:"n"`
	// Accuracy is the fraction of examples whose label has the largest output, Top2
	// that of those whose label has one of the two largest.
	Accuracy float64 `json:"accuracy"`
	Top2     float64 `json:"top2_accuracy"`
	// Confusion counts examples: [label][guess].
	Confusion [][]int `json:"confusion"`
	// Precision is, of the examples that are taken for a class, the fraction that are
	// of it; Recall, of the examples of a class, the fraction that are taken for it.
	Precision []*float64 `json:"precision"`
	Recall    []*float64 `json:"recall"`
	// Softmax says that an example's confidences sum to 1. Otherwise each output is by
	// itself the network's estimate of whether the example is of its class.
	Softmax bool `json:"softmax"`
	// Calibration is nil if the outputs are not all from 0 to 1: they do not say how
	// sure the network is.
	Calibration *Calibration `json:"calibration"`
	// Hidden are the activations of hidden layers, in their order.
	Hidden []Layer `json:"hidden"`
	// Mistakes are the examples that are taken for something else, in their order.
	Mistakes []Mistake `json:"-"`
}

// Mistake is an example that is taken for something else.
type Mistake struct {
	Index int `json:"index"`
	Label int `json:"label"`
	Guess int `json:"guess"`
	// Confidence is that of the guess, as in Calibration; nil if there is none.
	Confidence *float64 `json:"confidence"`
	// Second says that the label has the second largest output.
	Second bool `json:"second"`
}

// Of measures outputs [n, classes] row-major, which must be finite, against n
// labels, each below classes. softmax says that confidences are the softmax of the
// outputs, and not the outputs themselves.
func Of(outputs []float32, labels []byte, classes int, softmax bool) *Quality {
	q := &Quality{N: len(labels), Softmax: softmax, Confusion: make([][]int, classes), Hidden: []Layer{}}
	for c := range q.Confusion {
		q.Confusion[c] = make([]int, classes)
	}
	confidence := confidences(outputs, classes, softmax)
	right, top2 := make([]bool, q.N), 0
	correct := 0
	for i, label := range labels {
		row := outputs[i*classes : (i+1)*classes]
		guess := largest(row)
		q.Confusion[label][guess]++
		rank := rank(row, int(label))
		if right[i] = rank == 0; right[i] {
			correct++
		}
		if rank < 2 {
			top2++
		}
		if right[i] {
			continue
		}
		m := Mistake{Index: i, Label: int(label), Guess: guess, Second: rank == 1}
		if confidence != nil {
			m.Confidence = &confidence[i]
		}
		q.Mistakes = append(q.Mistakes, m)
	}
	q.Accuracy, q.Top2 = share(correct, q.N), share(top2, q.N)
	for c := range classes {
		taken, of := 0, 0
		for k := range classes {
			taken, of = taken+q.Confusion[k][c], of+q.Confusion[c][k]
		}
		q.Precision = append(q.Precision, fraction(q.Confusion[c][c], taken))
		q.Recall = append(q.Recall, fraction(q.Confusion[c][c], of))
	}
	if confidence != nil {
		q.Calibration = calibrate(confidence, right)
	}
	return q
}

// largest is the index of the largest output, the first of several.
func largest(row []float32) int {
	best := 0
	for j, v := range row {
		if v > row[best] {
			best = j
		}
	}
	return best
}

// rank is how many outputs come before a class: those that are larger, and among
// equals those that stand before it.
func rank(row []float32, class int) (before int) {
	for j, v := range row {
		if v > row[class] || v == row[class] && j < class {
			before++
		}
	}
	return before
}

// confidences are those of the guesses [n], from 0 to 1; nil if outputs that are no
// logits are not all from 0 to 1.
func confidences(outputs []float32, classes int, softmax bool) []float64 {
	if !softmax && slices.ContainsFunc(outputs, func(v float32) bool { return v < 0 || v > 1 }) {
		return nil
	}
	found := make([]float64, 0, len(outputs)/classes)
	for row := range slices.Chunk(outputs, classes) {
		top := row[largest(row)]
		if !softmax {
			found = append(found, float64(top))
			continue
		}
		sum := 0.
		for _, v := range row {
			sum += math.Exp(float64(v) - float64(top))
		}
		found = append(found, 1/sum)
	}
	return found
}

func share(part, of int) float64 { return float64(part) / float64(max(1, of)) }

func fraction(part, of int) *float64 {
	if of == 0 {
		return nil
	}
	f := share(part, of)
	return &f
}

// Chosen are the mistakes with a label and a guess, each -1 for any, the most
// confident first.
func (q *Quality) Chosen(label, guess int) []Mistake {
	chosen := []Mistake{}
	for _, m := range q.Mistakes {
		if (label < 0 || m.Label == label) && (guess < 0 || m.Guess == guess) {
			chosen = append(chosen, m)
		}
	}
	if q.Calibration != nil {
		slices.SortStableFunc(chosen, func(a, b Mistake) int { return cmp.Compare(*b.Confidence, *a.Confidence) })
	}
	return chosen
}

// Pair is how many examples of a label are taken for another class.
type Pair struct {
	Label int `json:"label"`
	Guess int `json:"guess"`
	N     int `json:"n"`
}

// Pairs are the n most frequent confusions, the most frequent first, those of
// smaller labels first among equals.
func (q *Quality) Pairs(n int) []Pair {
	var pairs []Pair
	for label, row := range q.Confusion {
		for guess, count := range row {
			if label != guess && count > 0 {
				pairs = append(pairs, Pair{label, guess, count})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b Pair) int { return cmp.Compare(b.N, a.N) })
	return pairs[:min(n, len(pairs))]
}
