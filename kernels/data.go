package kernels

import (
	"fmt"
	"math"
)

// Split names a part of the data.
type Split int

const (
	Train Split = iota
	Validation
	Test
)

func (s Split) String() string { return [...]string{"train", "validation", "test"}[s] }

// Examples are labelled inputs. Pixels stay bytes; networks see byte / 255.
type Examples struct {
	Pixels   []byte // [N, features] row-major
	Labels   []byte // [N], each below the number of classes
	Features int
	// Targets are what outputs are to be, [N, classes] row-major, each row
	// probabilities whose sum is one; nil if they are the labels with certainty. A
	// label is then what an output is counted as right by.
	Targets []float32
}

// Target is the target of an example by class.
func (e Examples) Target(i, class, classes int) float32 {
	if e.Targets != nil {
		return e.Targets[i*classes+class]
	}
	if int(e.Labels[i]) == class {
		return 1
	}
	return 0
}

// AppendTarget appends an example's row of targets.
func (e Examples) AppendTarget(to []float32, i, classes int) []float32 {
	for c := range classes {
		to = append(to, e.Target(i, c, classes))
	}
	return to
}

// checkTargets reports what targets cannot be.
func (e Examples) checkTargets(classes int) error {
	if e.Targets == nil {
		return nil
	}
	if len(e.Targets) != e.Len()*classes {
		return fmt.Errorf("%d targets for %d examples of %d classes", len(e.Targets), e.Len(), classes)
	}
	for i := range e.Len() {
		sum := 0.0
		for _, t := range e.Targets[i*classes : (i+1)*classes] {
			if !(t >= 0 && t <= 1) {
				return fmt.Errorf("target %g of example %d, want 0 to 1", t, i)
			}
			sum += float64(t)
		}
		if math.Abs(sum-1) > TargetTolerance {
			return fmt.Errorf("the targets of example %d add up to %g, want 1", i, sum)
		}
	}
	return nil
}

// TargetTolerance is how far the sum of a row of targets may be from one: float32
// and decimal numbers of six digits are not exact.
const TargetTolerance = 1e-4

// Len is the number of examples.
func (e Examples) Len() int { return len(e.Labels) }

// Row is example i's pixels, not a copy.
func (e Examples) Row(i int) []byte { return e.Pixels[i*e.Features : (i+1)*e.Features] }

// Data is what a population trains on and is evaluated with.
type Data struct {
	Train, Validation, Test Examples
	Classes                 int
	// Rows and Cols are the images' extent; zero if the inputs are no images.
	Rows, Cols int
}

// Split returns one part of the data. Validation and test may be empty.
func (d *Data) Split(s Split) Examples {
	return [...]Examples{d.Train, d.Validation, d.Test}[s]
}

// maxClasses is how many classes a label's byte can tell apart.
const maxClasses = 256

// Check reports what is inconsistent in the data: lengths, labels out of range.
func (d *Data) Check() error {
	if d.Train.Len() == 0 {
		return fmt.Errorf("the training set is empty")
	}
	if d.Classes < 1 || d.Classes > maxClasses {
		return fmt.Errorf("%d classes, want 1 to %d", d.Classes, maxClasses)
	}
	if size := d.Rows * d.Cols; size != 0 && size != d.Train.Features {
		return fmt.Errorf("images of %d x %d pixels, but %d features", d.Rows, d.Cols, d.Train.Features)
	}
	for s := Train; s <= Test; s++ {
		e := d.Split(s)
		if len(e.Pixels) != e.Len()*e.Features {
			return fmt.Errorf("%s: %d pixels for %d examples of %d features", s, len(e.Pixels), e.Len(), e.Features)
		}
		if e.Len() > 0 && e.Features != d.Train.Features {
			return fmt.Errorf("%s: %d features, the training set has %d", s, e.Features, d.Train.Features)
		}
		if err := e.checkTargets(d.Classes); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		for i, l := range e.Labels {
			if int(l) >= d.Classes {
				return fmt.Errorf("%s: label %d of example %d, want below %d", s, l, i, d.Classes)
			}
		}
	}
	return nil
}
