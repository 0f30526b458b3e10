package mnist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/draw"
)

// boxShare is the part of an image's sides that its digit fits in: 20 of 28 pixels for MNIST.
const boxShare = 20. / 28

// minContrast is how much an image's ink must differ from its background, in grey levels of 255.
const minContrast = 16

// straySum is the part of all ink that may lie beyond each side of the box around a digit. It keeps specks from
// stretching the box.
const straySum = 0.0005

// FromImage makes any picture of one digit look like MNIST's: rows x cols pixels, row-major, light ink on black. It does
// what MNIST's authors did to their scans: "normalized to fit in a 20x20 pixel box while preserving their aspect ratio
// … centered in a 28x28 image by computing the center of mass of the pixels" (http://yann.lecun.com/exdb/mnist), with
// the box in proportion for other sizes.
//
// Whatever differs from the background counts as ink, be it darker or lighter; the background is the median of the
// picture's outermost pixels, and what differs as little as they do among themselves belongs to it. The strongest ink becomes 255.
// Colours count by their luminance. What shows through transparent pixels is white paper, or black if the ink stands out
// more from that.
//
// It fails if rows or cols is not positive, if the picture has no pixels, and if it shows no ink. It takes two bytes of
// memory for each of the picture's pixels, and 32 for each pixel of the box in one line of the picture.
func FromImage(picture image.Image, rows, cols int) ([]byte, error) {
	if rows < 1 || cols < 1 {
		return nil, fmt.Errorf("expected a size of at least 1x1 pixels, found %dx%d", rows, cols)
	}
	if picture.Bounds().Empty() {
		return nil, errors.New("expected a picture, found one without pixels")
	}
	ink, contrast := inkOf(grey(picture, color.White))
	if o, ok := picture.(interface{ Opaque() bool }); !ok || !o.Opaque() {
		if onBlack, more := inkOf(grey(picture, color.Black)); more > contrast {
			ink, contrast = onBlack, more
		}
	}
	if contrast < minContrast {
		return nil, errBlank
	}
	return normalized(ink, rows, cols, boxShare)
}

var errBlank = errors.New("expected a digit, found a blank picture")

// normalized crops ink to the digit, scales it to a box that takes a share of the sides, and places it by its centre of mass: all that a drawing in
// light ink on black goes through.
func normalized(ink *image.Gray, rows, cols int, share float64) ([]byte, error) {
	ink = crop(ink)
	scaled := fit(ink, share*float64(cols), share*float64(rows))
	if scaled == nil {
		return nil, errors.New("expected a digit, found specks that vanish when they are scaled to its size")
	}
	columns, lines := sums(scaled)
	left := offset(centre(columns), len(columns), cols)
	top := offset(centre(lines), len(lines), rows)
	pixels := make([]byte, rows*cols)
	for i := range lines {
		copy(pixels[(top+i)*cols+left:], scaled.Pix[i*scaled.Stride:][:scaled.Stride])
	}
	return pixels, nil
}

// Pixels returns a picture of rows x cols pixels as it is: the luminance of each pixel, row-major, with black behind
// transparent ones. It fails if the picture has another size.
func Pixels(picture image.Image, rows, cols int) ([]byte, error) {
	if b := picture.Bounds(); b.Dy() != rows || b.Dx() != cols {
		return nil, fmt.Errorf("expected %dx%d pixels (rows x columns), found %dx%d", rows, cols, b.Dy(), b.Dx())
	}
	return grey(picture, color.Black).Pix, nil
}

// grey draws the picture over a background, in grey.
func grey(picture image.Image, background color.Color) *image.Gray {
	b := picture.Bounds()
	g := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(g, g.Rect, image.NewUniform(background), image.Point{}, draw.Src)
	draw.Draw(g, g.Rect, picture, b.Min, draw.Over)
	return g
}

// inkOf turns a grey picture into its ink, in place: from 0 for the background to 255 for the strongest. It also returns
// how many grey levels that strongest ink stood out from the background; 0 if there is none.
func inkOf(g *image.Gray) (ink *image.Gray, contrast int) {
	background, spread := border(g)
	darkest, lightest := int(slices.Min(g.Pix)), int(slices.Max(g.Pix))
	sign, extreme := 1, lightest-background
	if dark := background - darkest; dark > extreme {
		sign, extreme = -1, dark
	}
	// Scanned paper has a grain. Three quartiles are 3.5 standard deviations, one level more covers what quartiles that are
	// whole numbers miss, and half of the contrast is ink for sure.
	floor := min(3*spread+1, extreme/2)
	contrast = extreme - floor
	for i, v := range g.Pix {
		above := max(0, sign*(int(v)-background)-floor)
		g.Pix[i] = byte((above*255 + contrast/2) / max(1, contrast))
	}
	return g, contrast
}

// border is the median of a picture's outermost pixels, and what three quarters of them differ from it at most. That
// stands up to a digit that covers a quarter of the border.
func border(g *image.Gray) (median, spread int) {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	outermost := slices.Concat(g.Pix[:w], g.Pix[(h-1)*w:])
	for y := range h {
		outermost = append(outermost, g.Pix[y*w], g.Pix[y*w+w-1])
	}
	slices.Sort(outermost)
	median = int(outermost[len(outermost)/2])
	deviations := outermost
	for i, v := range deviations {
		deviations[i] = byte(max(int(v)-median, median-int(v)))
	}
	slices.Sort(deviations)
	return median, int(deviations[len(deviations)*3/4])
}

// crop is the part of the picture with the ink.
func crop(ink *image.Gray) *image.Gray {
	columns, rows := sums(ink)
	left, right := extent(columns)
	top, bottom := extent(rows)
	part := ink.SubImage(image.Rect(left, top, right, bottom)).(*image.Gray)
	part.Rect = part.Rect.Sub(part.Rect.Min)
	return part
}

// sums adds up the ink of each column and row.
func sums(ink *image.Gray) (columns, rows []int) {
	columns, rows = make([]int, ink.Rect.Dx()), make([]int, ink.Rect.Dy())
	for y := range rows {
		for x, v := range ink.Pix[y*ink.Stride:][:len(columns)] {
			columns[x] += int(v)
			rows[y] += int(v)
		}
	}
	return columns, rows
}

// extent is the half-open range of all ink but the stray.
func extent(sums []int) (from, to int) {
	total := 0
	for _, s := range sums {
		total += s
	}
	stray := int(straySum * float64(total))
	for rest := stray - sums[0]; rest >= 0; rest -= sums[from] {
		from++
	}
	to = len(sums)
	for rest := stray - sums[to-1]; rest >= 0; rest -= sums[to-1] {
		to--
	}
	return from, to
}

// fit scales ink to a box, keeping its proportions, and stretches it so that the strongest is 255 again: lines thinner
// than a pixel of the result have become faint. It returns nil if nothing is left.
func fit(ink *image.Gray, width, height float64) *image.Gray {
	w, h := float64(ink.Rect.Dx()), float64(ink.Rect.Dy())
	scale := min(width/w, height/h)
	side := func(length float64) int { return max(1, int(math.Round(scale*length))) }
	fine := image.NewGray16(image.Rect(0, 0, side(w), side(h)))
	draw.CatmullRom.Scale(fine, fine.Rect, ink, ink.Rect, draw.Src, nil)

	strongest := 0
	scaled := image.NewGray(fine.Rect)
	for i := range scaled.Pix {
		strongest = max(strongest, int(binary.BigEndian.Uint16(fine.Pix[2*i:])))
	}
	if strongest == 0 {
		return nil
	}
	for i := range scaled.Pix {
		v := int(binary.BigEndian.Uint16(fine.Pix[2*i:]))
		scaled.Pix[i] = byte((255*v + strongest/2) / strongest)
	}
	return scaled
}

// centre is the centre of mass, where 0 is the middle of the first pixel.
func centre(sums []int) float64 {
	moment, total := 0., 0.
	for i, s := range sums {
		moment += float64(i) * float64(s)
		total += float64(s)
	}
	return moment / total
}

// offset is where a digit of the given length begins, so that its centre of mass comes as near to pixel size/2 as whole
// pixels allow and all of it stays inside. In MNIST that is pixel 14 of 0 to 27, not the middle between 13 and 14: the
// centres of its images lie between 13.5 and 14.5, evenly.
func offset(centre float64, length, size int) int {
	return min(max(0, int(math.Round(float64(size/2)-centre))), size-length)
}
