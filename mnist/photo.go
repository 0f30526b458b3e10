package mnist

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"slices"

	"golang.org/x/image/draw"
)

// FromPhoto is [FromImage] of pictures that show more than paper and ink. A frame of one colour around the picture is
// taken off, and of a sheet that lies on something only the sheet is looked at. Where it finds neither, as in a drawing,
// the pixels are FromImage's.
//
// The doubts say in words what the digit may not be, for people to read: see [Doubts].
func FromPhoto(picture image.Image, rows, cols int) (pixels []byte, doubts []string, err error) {
	return FromPhotoIn(picture, rows, cols, boxShare)
}

// FromPhotoIn is FromPhoto for images whose shapes take another share of their sides than MNIST's, from above 0 to 1.
func FromPhotoIn(picture image.Image, rows, cols int, share float64) (pixels []byte, doubts []string, err error) {
	if !(share > 0 && share <= 1) {
		return nil, nil, fmt.Errorf("expected a share above 0, up to 1, found %v", share)
	}
	if rows < 1 || cols < 1 {
		return nil, nil, fmt.Errorf("expected a size of at least 1x1 pixels, found %dx%d", rows, cols)
	}
	if picture.Bounds().Empty() {
		return nil, nil, errors.New("expected a picture, found one without pixels")
	}
	look := func(background color.Color) (*image.Gray, int) {
		return inkOf(onSheet(unframed(grey(picture, background))))
	}
	ink, contrast := look(color.White)
	if o, ok := picture.(interface{ Opaque() bool }); !ok || !o.Opaque() {
		if onBlack, more := look(color.Black); more > contrast {
			ink, contrast = onBlack, more
		}
	}
	if contrast < minContrast {
		return nil, nil, errBlank
	}
	if pixels, err = normalized(ink, rows, cols, share); err != nil {
		return nil, nil, err
	}
	return pixels, Doubts(ink), nil
}

const (
	// frameShare is how thick a frame may be, of the picture's shorter side.
	frameShare = 1. / 8
	// sameLevel is how far two grey levels of one surface are apart, at most.
	sameLevel = 24
	// uniformShare is how much of a frame is of one level, and paperShare of what lies within it.
	uniformShare, paperShare = 0.9, 0.75
)

// unframed is the picture within a frame: rings of pixels around it that are of another level than those further in and
// than most of the picture.
func unframed(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	depth := int(frameShare * float64(min(w, h)))
	if depth < 2 {
		return g
	}
	paper := level(histogram(g, 0, w, 0, h))
	frame := 0
	for k := range depth {
		counts := ring(g, k)
		if m := level(counts); levelsApart(m, paper) > sameLevel && near(counts, m) >= uniformShare {
			frame = k + 1
		}
	}
	if frame == 0 || frame == depth || near(ring(g, frame), paper) < paperShare {
		return g // none, or something else goes on inwards
	}
	frame = min(frame+1, depth) // its edge is often a mixture
	return part(g, image.Rect(frame, frame, w-frame, h-frame))
}

// part is a copy of a part of a picture.
func part(g *image.Gray, r image.Rectangle) *image.Gray {
	p := image.NewGray(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(p, p.Rect, g, r.Min, draw.Src)
	return p
}

// ring counts the levels of the pixels at a distance from the border.
func ring(g *image.Gray, k int) (counts [256]int) {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	for _, r := range [][4]int{{k, w - k, k, k + 1}, {k, w - k, h - 1 - k, h - k}, {k, k + 1, k + 1, h - 1 - k}, {w - 1 - k, w - k, k + 1, h - 1 - k}} {
		for v, n := range histogram(g, r[0], r[1], r[2], r[3]) {
			counts[v] += n
		}
	}
	return counts
}

func histogram(g *image.Gray, left, right, top, bottom int) (counts [256]int) {
	for y := top; y < bottom; y++ {
		for _, v := range g.Pix[y*g.Stride:][left:right] {
			counts[v]++
		}
	}
	return counts
}

// level is the median.
func level(counts [256]int) (median int) {
	total := 0
	for _, n := range counts {
		total += n
	}
	for seen := 0; median < 255; median++ {
		if seen += counts[median]; 2*seen >= total {
			break
		}
	}
	return median
}

// near is the share of pixels that are of a level.
func near(counts [256]int, of int) float64 {
	n, total := 0, 0
	for v, c := range counts {
		total += c
		if levelsApart(v, of) <= sameLevel {
			n += c
		}
	}
	return float64(n) / float64(max(1, total))
}

func levelsApart(a, b int) int { return max(a-b, b-a) }

const (
	// lookedAt is the longer side of the copy in which a sheet is looked for.
	lookedAt = 256
	// A sheet fills so much of the smallest rectangle around it, whichever way that is turned (an ellipse fills 0.79), takes
	// so much of the picture, and what is written on it takes so much of the sheet.
	sheetFill             = 0.87
	sheetShare            = 0.08
	leastWritten, mostInk = 0.002, 0.4
	leastWrittenExtent    = 0.06
	sheetContrast         = 2 * minContrast
	sheetEdge             = 2 // pixels of the copy along the sheet's edge that are not looked at
)

// onSheet is a picture of which all but a sheet is as its paper: something darker or lighter than what goes on to the
// border, with straight sides, and with something on it. A picture without one is returned as it is.
func onSheet(g *image.Gray) *image.Gray {
	small := reduced(g)
	inside := sheet(small)
	if inside == nil {
		return g
	}
	w, h, sw, sh := g.Rect.Dx(), g.Rect.Dy(), small.Rect.Dx(), small.Rect.Dy()
	in := func(x, y int) bool { return inside[y*sh/h*sw+x*sw/w] }
	box := image.Rectangle{}
	var counts [256]int
	for y := range h {
		for x := range w {
			if in(x, y) {
				counts[g.Pix[y*g.Stride+x]]++
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	// Around the sheet goes what is on it, the paper's grain and no ink, so that this is what the border shows.
	paper := level(counts)
	cleared, grain := part(g, box), []byte{byte(paper)}
	for y := range box.Dy() {
		for x, v := range cleared.Pix[y*cleared.Stride:][:box.Dx()] {
			if len(grain) < mostGrain && in(box.Min.X+x, box.Min.Y+y) && levelsApart(int(v), paper) <= sameLevel {
				grain = append(grain, v)
			}
		}
	}
	next := 0
	for y := range box.Dy() {
		for x := range box.Dx() {
			if !in(box.Min.X+x, box.Min.Y+y) {
				cleared.Pix[y*cleared.Stride+x] = grain[next%len(grain)]
				next++
			}
		}
	}
	return cleared
}

// mostGrain is how many pixels of paper stand for all of it.
const mostGrain = 4096

// reduced is a copy of the picture that is no larger than lookedAt, its pixels averages.
func reduced(g *image.Gray) *image.Gray {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	scale := min(1, float64(lookedAt)/float64(max(w, h)))
	small := image.NewGray(image.Rect(0, 0, max(1, int(scale*float64(w))), max(1, int(scale*float64(h)))))
	draw.BiLinear.Scale(small, small.Rect, g, g.Rect, draw.Src, nil)
	return small
}

// sheet marks the pixels of a sheet, less its edge; nil if there is none.
func sheet(g *image.Gray) []bool {
	w, h := g.Rect.Dx(), g.Rect.Dy()
	threshold, apart := otsu(histogram(g, 0, w, 0, h))
	if apart < sheetContrast {
		return nil
	}
	light := make([]bool, w*h)
	lightBorder, border := 0, 0
	for i, v := range g.Pix {
		light[i] = int(v) > threshold
		if x, y := i%w, i/w; x == 0 || y == 0 || x == w-1 || y == h-1 {
			border++
			if light[i] {
				lightBorder++
			}
		}
	}
	aroundLight := 2*lightBorder > border
	shapes := components(w, h, func(i int) bool { return light[i] != aroundLight }, false)
	if len(shapes) == 0 {
		return nil
	}
	largest := slices.MaxFunc(shapes, func(a, b []int) int { return len(a) - len(b) })
	if float64(len(largest)) < sheetShare*(1-mostInk)*float64(w*h) {
		return nil
	}
	paper := make([]bool, w*h)
	for _, i := range largest {
		paper[i] = true
	}
	// What is not reached from the border without crossing the paper is on it.
	inside := slices.Repeat([]bool{true}, w*h)
	for _, shape := range components(w, h, func(i int) bool { return !paper[i] }, false) {
		if slices.ContainsFunc(shape, func(i int) bool { x, y := i%w, i/w; return x == 0 || y == 0 || x == w-1 || y == h-1 }) {
			for _, i := range shape {
				inside[i] = false
			}
		}
	}
	area := 0
	var ends []image.Point // of the lines within the sheet
	for y := range h {
		line := inside[y*w : (y+1)*w]
		first := slices.Index(line, true)
		if first < 0 {
			continue
		}
		last := w - 1
		for !line[last] {
			last--
		}
		ends = append(ends, image.Pt(first, y), image.Pt(last, y))
		for _, in := range line {
			if in {
				area++
			}
		}
	}
	written := float64(area-len(largest)) / float64(area)
	if written < leastWritten || written > mostInk || float64(area) < sheetShare*float64(w*h) || float64(area) < sheetFill*smallestRectangle(ends) {
		return nil
	}
	// Specks of the paper are not written on it.
	extent := 0
	for _, shape := range components(w, h, func(i int) bool { return inside[i] && !paper[i] }, true) {
		b := bounds(shape, w)
		extent = max(extent, b.Dx(), b.Dy())
	}
	if box := bounds(largest, w); float64(extent) < leastWrittenExtent*float64(max(box.Dx(), box.Dy())) {
		return nil
	}
	return eroded(inside, w, h, min(sheetEdge, max(w, h)/64))
}

// otsu is the threshold that divides levels into the two most different groups (N. Otsu, 1979), and how far their means
// are apart.
func otsu(counts [256]int) (threshold, apart int) {
	n, sum := 0, 0
	for v, c := range counts {
		n += c
		sum += v * c
	}
	best := 0.
	below, belowSum := 0, 0
	for v, c := range counts {
		below += c
		belowSum += v * c
		if below == 0 || below == n {
			continue
		}
		low, high := float64(belowSum)/float64(below), float64(sum-belowSum)/float64(n-below)
		if between := float64(below) * float64(n-below) * (high - low) * (high - low); between > best {
			best, threshold, apart = between, v, int(high-low)
		}
	}
	return threshold, apart
}

// components lists the connected groups of pixels of a kind, each by the pixels' indices. Diagonals connect or not.
func components(w, h int, of func(i int) bool, diagonal bool) (all [][]int) {
	seen := make([]bool, w*h)
	for start := range seen {
		if seen[start] || !of(start) {
			continue
		}
		seen[start] = true
		group := []int{start}
		for k := 0; k < len(group); k++ {
			x, y := group[k]%w, group[k]/w
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					nx, ny := x+dx, y+dy
					if nx < 0 || ny < 0 || nx >= w || ny >= h || !diagonal && dx != 0 && dy != 0 {
						continue
					}
					if j := ny*w + nx; !seen[j] && of(j) {
						seen[j] = true
						group = append(group, j)
					}
				}
			}
		}
		all = append(all, group)
	}
	return all
}

func bounds(group []int, w int) (r image.Rectangle) {
	for _, i := range group {
		r = r.Union(image.Rect(i%w, i/w, i%w+1, i/w+1))
	}
	return r
}

// eroded is a region less what is within some pixels of its edge.
func eroded(in []bool, w, h, pixels int) []bool {
	for range pixels {
		less := slices.Clone(in)
		for i := range in {
			x, y := i%w, i/w
			if in[i] && (x == 0 || y == 0 || x == w-1 || y == h-1 || !in[i-1] || !in[i+1] || !in[i-w] || !in[i+w]) {
				less[i] = false
			}
		}
		in = less
	}
	return in
}

// smallestRectangle is the area of the smallest rectangle, however turned, around pixels: it has a side along one of
// their convex hull's.
func smallestRectangle(points []image.Point) float64 {
	// A pixel is a square.
	var corners []image.Point
	for _, p := range points {
		corners = append(corners, p, p.Add(image.Pt(1, 0)), p.Add(image.Pt(0, 1)), p.Add(image.Pt(1, 1)))
	}
	hull := convexHull(corners)
	least := float64(0)
	for i, p := range hull {
		side := hull[(i+1)%len(hull)].Sub(p)
		length := float64(side.X*side.X + side.Y*side.Y)
		if length == 0 {
			continue
		}
		var low, high [2]int
		for k, q := range hull {
			d := q.Sub(p)
			for axis, v := range [2]int{d.X*side.X + d.Y*side.Y, d.Y*side.X - d.X*side.Y} {
				if k == 0 || v < low[axis] {
					low[axis] = v
				}
				if k == 0 || v > high[axis] {
					high[axis] = v
				}
			}
		}
		if area := float64(high[0]-low[0]) * float64(high[1]-low[1]) / length; least == 0 || area < least {
			least = area
		}
	}
	return least
}

// convexHull is Andrew's monotone chain (1979).
func convexHull(points []image.Point) []image.Point {
	slices.SortFunc(points, func(a, b image.Point) int {
		if a.X != b.X {
			return a.X - b.X
		}
		return a.Y - b.Y
	})
	points = slices.Compact(points)
	half := func(points []image.Point) (chain []image.Point) {
		for _, p := range points {
			for len(chain) > 1 {
				a, b := chain[len(chain)-2], chain[len(chain)-1]
				if (b.X-a.X)*(p.Y-a.Y)-(b.Y-a.Y)*(p.X-a.X) > 0 {
					break
				}
				chain = chain[:len(chain)-1]
			}
			chain = append(chain, p)
		}
		return chain[:len(chain)-1]
	}
	lower := half(points)
	slices.Reverse(points)
	return append(lower, half(points)...)
}
