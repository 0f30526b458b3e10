package mnist

import (
	"fmt"
	"image"
)

const (
	doubtSide = 56 // of the copy that is looked at
	doubtInk  = 96 // from which a pixel of it is ink
	// A digit has so much of the ink, and so much of the height of all ink, or of its width where digits stand one above
	// the other.
	digitShare, digitExtent = 0.2, 0.5
	// From so many shapes on, of which the largest has less than this part of the ink, they are no parts of one.
	manyShapes = 6
	// A frame's bounds are those of all ink, and a digit within it is so far from them, of the longer side.
	frameMargin = 0.04
)

// Doubts says in words why ink may not be one digit: it runs all round something, or falls into several shapes of a
// digit's size. Of MNIST's own digits, whose strokes do not always meet, less than one in 200 raises a doubt.
func Doubts(ink *image.Gray) (doubts []string) {
	cropped := crop(ink)
	g := fit(cropped, doubtSide, doubtSide)
	if g == nil {
		return nil
	}
	w, h := g.Rect.Dx(), g.Rect.Dy()
	total := 0
	for _, v := range g.Pix {
		if v >= doubtInk {
			total++
		}
	}
	shapes := components(w, h, func(i int) bool { return g.Pix[i] >= doubtInk }, true)
	margin := int(frameMargin * float64(max(w, h)))
	largest := 0
	for _, shape := range shapes {
		largest = max(largest, len(shape))
	}
	if len(shapes) >= manyShapes && manyShapes*largest < total {
		return []string{fmt.Sprintf("there are %d separate shapes: are they many digits? A network sees one", len(shapes))}
	}
	beside, above := 0, 0
	for _, shape := range shapes {
		b := bounds(shape, w)
		if float64(len(shape)) < digitShare*float64(total) {
			continue
		}
		if b.Dx() >= w-1 && b.Dy() >= h-1 && len(shapes) > 1 {
			for _, other := range shapes {
				if o := bounds(other, w); o.In(image.Rect(margin, margin, w-margin, h-margin)) && 4*max(o.Dx(), o.Dy()) >= max(w, h) {
					return append(doubts, "the ink runs all round: is there a frame around the digit?")
				}
			}
		}
		if float64(b.Dy()) >= digitExtent*float64(h) && apartFrom(shapes, shape, w, true) {
			beside++
		}
		if float64(b.Dx()) >= digitExtent*float64(w) && apartFrom(shapes, shape, w, false) {
			above++
		}
	}
	if n := max(beside, above); n > 1 {
		doubts = append(doubts, fmt.Sprintf("there are %d separate shapes: are they %d digits? A network sees one", n, n))
	}
	return doubts
}

// apartFrom says whether no other shape of a digit's size shares a column, or a row, with a shape.
func apartFrom(shapes [][]int, shape []int, w int, columns bool) bool {
	a := bounds(shape, w)
	for _, other := range shapes {
		b := bounds(other, w)
		if &other[0] == &shape[0] || 4*len(other) < len(shape) {
			continue
		}
		if columns && a.Min.X < b.Max.X && b.Min.X < a.Max.X || !columns && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y {
			return false
		}
	}
	return true
}
