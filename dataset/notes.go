package dataset

import (
	"fmt"
	"slices"

	"vanilla/internal/words"
)

// strayShare is below which share of the median class a class's images look like a mistake.
const strayShare = 0.01

// notes say what is unusual about a data set. Of classes that a network knows already, so many, none need to be there.
func (d *Dataset) notes(known int) (notes []string) {
	counts := d.Train.Counts()
	soft := d.Train.Targets != nil
	if soft { // what has no image to itself is learned from parts of others
		for i, p := range d.Train.Targets {
			if c := i % d.Train.Classes; p > 0 && counts[c] == 0 {
				counts[c] = 1
			}
		}
	}
	var empty []string
	var present []int
	for c, n := range counts {
		switch {
		case n > 0:
			present = append(present, n)
		case c >= known:
			empty = append(empty, d.Train.ClassName(c))
		}
	}
	slices.Sort(present)
	median := present[len(present)/2]
	if len(empty) > 0 {
		noun := "the class "
		if len(empty) > 1 {
			noun = "the classes "
		}
		notes = append(notes, noun+mentioned(empty)+": no training images, so that no network can learn "+itOrThem(len(empty)))
	}
	for c, n := range counts {
		if n > 0 && !soft && float64(n) < strayShare*float64(median) {
			notes = append(notes, fmt.Sprintf("the class %s has %s, half of the classes have %s or more: is it a stray label?",
				d.Train.ClassName(c), words.Plural(n, "training image"), words.Thousands(median)))
		}
	}
	if p := d.Train.Prepared; p.Light && !p.Whole && !p.Invert {
		notes = append(notes, `images are dark on light: "invert" makes them light on dark, as MNIST's are`)
	}
	return notes
}

func itOrThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// Counts are how many images each class has.
func (s *Images) Counts() []int {
	counts := make([]int, s.Classes)
	for _, label := range s.Labels {
		counts[label]++
	}
	return counts
}
