package dataset

import (
	"fmt"
	"math"

	"vanilla/kernels"
)

// target appends an example whose target is a row of probabilities, one for each of s.columns. Its label follows from them
// once the classes are in their order.
func (s *set) target(row []float64) error {
	sum := 0.0
	for _, p := range row {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("expected probabilities from 0 to 1, found %v", p)
		}
		sum += p
	}
	if math.Abs(sum-1) > kernels.TargetTolerance {
		return fmt.Errorf("expected probabilities that add up to 1 ± %g, found %.6g", kernels.TargetTolerance, sum)
	}
	for _, p := range row {
		s.targets = append(s.targets, float32(p))
	}
	s.labels = append(s.labels, s.columns[0])
	return nil
}

// matrix appends n targets. Column c of the matrix is the class that is called c; value k is the element k of all, row-major.
func (s *set) matrix(file string, n, columns int, l *labels, value func(k int) float64) error {
	s.columns = make([]int32, columns)
	for c := range s.columns {
		var err error
		if s.columns[c], err = l.number(c); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	s.targets, s.labels = make([]float32, 0, n*columns), make([]int32, 0, n)
	row := make([]float64, columns)
	for i := range n {
		for c := range row {
			row[c] = value(i*columns + c)
		}
		if err := s.target(row); err != nil {
			return fmt.Errorf("%s: %w for image %d, counted from 1", file, err, i+1)
		}
	}
	return nil
}

// soften gives images the targets of a set, whose labels are classes: the largest of a row is its label, and of several
// the first one.
func (s *set) soften(to *Images, class []byte) {
	columns := len(s.columns)
	to.Targets = make([]float32, s.len()*to.Classes)
	for k, p := range s.targets {
		to.Targets[k/columns*to.Classes+int(class[s.columns[k%columns]])] = p
	}
	for i := range to.Labels {
		to.Labels[i] = byte(kernels.Argmax(to.Targets[i*to.Classes : (i+1)*to.Classes]))
	}
}
