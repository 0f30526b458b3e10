package dataset

import (
	"context"
	"crypto/sha256"
	"slices"
)

// Summary is what is in a data set.
type Summary struct {
	Name  string `json:"name"`
	Form  string `json:"form"`
	Train int    `json:"train"` // images
	Test  int    `json:"test"`
	Rows  int    `json:"rows"`
	Cols  int    `json:"cols"`
	// Classes are in the order of their numbers.
	Classes []ClassSummary `json:"classes"`
	// Least and Largest are the extent of all pixels, as networks see them: 0 to 255.
	Least   int `json:"least"`
	Largest int `json:"largest"`
	// Background is the most frequent value, and BackgroundShare the share of the pixels that have it.
	Background      int     `json:"background"`
	BackgroundShare float64 `json:"background_share"`
	// Blank counts images of one value.
	Blank int `json:"blank"`
	// Repeated counts training images that are equal to an earlier one.
	Repeated int `json:"repeated_training_images"`
	// Shared counts test images that are equal to a training image, and Contrary those of them that have another label there.
	Shared   int `json:"test_images_in_training"`
	Contrary int `json:"test_images_in_training_with_other_label"`
	// Sure is the mean of the largest probability of training images whose targets are probabilities; 0 if they are labels.
	Sure     float64     `json:"mean_largest_target,omitzero"`
	Prepared Preparation `json:"prepared"`
	Notes    []string    `json:"notes,omitempty"`
}

// ClassSummary counts a class's images.
type ClassSummary struct {
	Name  string `json:"name"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
}

// digest stands for the pixels of an image.
type digest [16]byte

// Summarize looks at every image. It takes some hundred bytes of memory for each training image.
func (d *Dataset) Summarize(ctx context.Context) (*Summary, error) {
	s := &Summary{Name: d.Name, Form: d.Form, Train: d.Train.Len(), Test: d.Test.Len(), Rows: d.Train.Rows, Cols: d.Train.Cols,
		Least: 255, Prepared: d.Train.Prepared, Notes: d.Notes}
	train, tested := d.Train.Counts(), d.Test.Counts()
	for c := range d.Train.Classes {
		s.Classes = append(s.Classes, ClassSummary{d.Train.ClassName(c), train[c], tested[c]})
	}
	if t := d.Train; t.Targets != nil {
		for i := range t.Len() {
			s.Sure += float64(slices.Max(t.Targets[i*t.Classes:][:t.Classes])) / float64(t.Len())
		}
	}
	var levels [256]int
	seen := make(map[digest]byte, d.Train.Len())
	for part, set := range []*Images{d.Train, d.Test} {
		for i := range set.Len() {
			if i%1024 == 0 && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			image := set.Image(i)
			for _, v := range image {
				levels[v]++
			}
			least, largest := slices.Min(image), slices.Max(image)
			s.Least, s.Largest = min(s.Least, int(least)), max(s.Largest, int(largest))
			if least == largest {
				s.Blank++
			}
			sum := sha256.Sum256(image)
			key := digest(sum[:16])
			label, twice := seen[key]
			switch {
			case part == training && twice:
				s.Repeated++
			case part == training:
				seen[key] = set.Labels[i]
			case twice:
				if s.Shared++; label != set.Labels[i] {
					s.Contrary++
				}
			}
		}
	}
	all := 0
	for v, n := range levels {
		all += n
		if n > levels[s.Background] {
			s.Background = v
		}
	}
	s.BackgroundShare = float64(levels[s.Background]) / float64(all)
	return s, nil
}
