package viz

import (
	"fmt"

	"vanilla/dataset"
)

// Classes are what classes are called: nil if by their numbers.
type Classes []string

// name is what a class is called.
func (c Classes) name(class int) string { return dataset.ClassName(c, class) }

// article is a class as it is read in a sentence: a 3, an 8, and names as they are.
func (c Classes) article(class int) string {
	if class < len(c) {
		return c[class]
	}
	if class == 8 || class == 11 || class == 18 || class >= 80 && class < 90 {
		return fmt.Sprintf("an %d", class)
	}
	return fmt.Sprintf("a %d", class)
}

// thing is what images show: digits, or anything where classes have names.
func (c Classes) thing() string {
	if c == nil {
		return "digit"
	}
	return "image"
}

// shown are the names as they fit in a width.
func (c Classes) shown(class int, s style, width float64) string {
	return s.cut(printable(c.name(class)), width)
}

// widest is how much room the names of n classes take, at most.
func (c Classes) widest(n int, s style, most float64) float64 {
	width := 0.
	for class := range n {
		width = max(width, s.width(printable(c.name(class))))
	}
	return min(width, most)
}
