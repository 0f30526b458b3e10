package dataset

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/image/draw"

	"vanilla/kernels"
)

// Size is rows x columns of an image; the zero value is none.
type Size struct{ Rows, Cols int }

// mostSide is the longest side of an image that networks take.
const mostSide = 4096

// ParseSize reads 28x28, or 28 for a square.
func ParseSize(text string) (s Size, err error) {
	rows, cols, two := strings.Cut(text, "x")
	if !two {
		cols = rows
	}
	s.Rows, err = strconv.Atoi(rows)
	if err == nil {
		s.Cols, err = strconv.Atoi(cols)
	}
	if err != nil || min(s.Rows, s.Cols) < 1 || max(s.Rows, s.Cols) > mostSide {
		return Size{}, &kernels.SettingError{Field: "size", Value: text,
			Problem: fmt.Sprintf("want rows x columns from 1 to %d, as in 28x28, or one number for a square", mostSide)}
	}
	return s, nil
}

func (s Size) String() string {
	if s == (Size{}) {
		return ""
	}
	return fmt.Sprintf("%dx%d", s.Rows, s.Cols)
}

// MarshalText and UnmarshalText make it text in JSON.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// Range are the values that mean black and white; the zero value is none.
type Range struct{ Black, White float64 }

// ParseRange reads two numbers: 0,16.
func ParseRange(text string) (r Range, err error) {
	black, white, two := strings.Cut(text, ",")
	r.Black, err = strconv.ParseFloat(strings.TrimSpace(black), 64)
	if err == nil {
		r.White, err = strconv.ParseFloat(strings.TrimSpace(white), 64)
	}
	if err != nil || !two || !(r.Black < r.White) || math.IsInf(r.White-r.Black, 0) {
		return Range{}, &kernels.SettingError{Field: "range", Value: text, Problem: "want the value of black and a larger one of white, as in 0,16 or -1,1"}
	}
	return r, nil
}

func (r Range) String() string {
	if r == (Range{}) {
		return ""
	}
	return fmt.Sprintf("%g,%g", r.Black, r.White)
}

// MarshalText and UnmarshalText make it text in JSON.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Range) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRange(string(text))
	return err
}

// level is the grey of a value.
func (r Range) level(v float64) byte {
	return byte(max(0, min(255, math.Round((v-r.Black)*(255/(r.White-r.Black))))))
}

// bytesRange is what bytes are without another one.
var bytesRange = Range{0, 255}

// Preparation is what was done to the images of a data set, in the order of its fields. The zero value is what MNIST is:
// nothing was done, and the images are light ink on black as large as MNIST's digits are.
type Preparation struct {
	Range     Range `json:"range,omitzero"`     // these values became 0 and 255
	Grey      bool  `json:"grey,omitzero"`      // colours became their luminance
	Invert    bool  `json:"invert,omitzero"`    // light became dark
	Transpose bool  `json:"transpose,omitzero"` // rows became columns
	Size      Size  `json:"size,omitzero"`      // images were scaled to this
	Pictures  bool  `json:"pictures,omitzero"`  // they were files of pictures, and not arrays
	Whole     bool  `json:"whole,omitzero"`     // they are no shapes on an even background
	Light     bool  `json:"light,omitzero"`     // their background is light
	Test      Share `json:"test,omitzero"`      // of the images of each class, which were held back for testing
	Box       Share `json:"box_share,omitzero"` // of their sides that shapes take, where it is not as in MNIST
	// Before is what had been done to the images when [Dataset.Write] wrote the files that they were read from; nil if nothing
	// is known of it.
	Before *Preparation `json:"before,omitempty"`
}

// OfPictures says whether the images were files of pictures in the beginning.
func (p Preparation) OfPictures() bool { return p.Pictures || p.Before != nil && p.Before.OfPictures() }

// result is the size of images that were files of pictures, and of which Before knows theirs.
func (p Preparation) result() Size {
	switch {
	case p.Size != Size{} || p.Before == nil:
		return p.Size
	case p.Transpose:
		s := p.Before.result()
		return Size{s.Cols, s.Rows}
	}
	return p.Before.result()
}

// written is what is known of images once they are written: what is seen on them, or was done to their number, is not.
func (p Preparation) written(size Size) *Preparation {
	p.Whole, p.Light, p.Box, p.Test = false, false, 0, 0
	if p.Pictures {
		p.Size = size
	}
	if only := (Preparation{Before: p.Before}); p == only {
		return p.Before
	}
	return &p
}

// Share is a part of something, from 0 to 1.
type Share float64

// Options are what reads other data the same way, for a network whose images this was done to.
func (p Preparation) Options() Options {
	return Options{Size: p.Size, Transpose: p.Transpose, Invert: p.Invert, Range: p.Range, Test: float64(p.Test), TestIfNone: true, Before: p.Before, Network: &p}
}

// Picture does to a picture what was done to the images, and first what had been done Before: colours become grey, over
// white where they are transparent, and then it is inverted, transposed and scaled. The result has rows x cols pixels,
// which is Size where there is one. Its sides keep their proportions; what that leaves of the result is as the picture's
// border.
func (p Preparation) Picture(picture image.Image, rows, cols int) []byte {
	g := greyOf(picture)
	pixels := make([]byte, rows*cols)
	newPreparer(p, Size{rows, cols}).image(pixels, g.Pix, g.Rect.Dy(), g.Rect.Dx())
	return pixels
}

// Pixels is Picture of an image in grey, rows x cols, that is not scaled: Size must be none.
func (p Preparation) Pixels(pixels []byte, rows, cols int) []byte {
	size := Size{rows, cols}
	if p.Transpose {
		size = Size{cols, rows}
	}
	made := make([]byte, len(pixels))
	newPreparer(p, size).image(made, pixels, rows, cols)
	return made
}

// greyOf is a picture in grey, over white.
func greyOf(picture image.Image) *image.Gray {
	b := picture.Bounds()
	g := image.NewGray(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(g, g.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(g, g.Rect, picture, b.Min, draw.Over)
	return g
}

// preparer does what a Preparation says to grey images. It may be used concurrently.
type preparer struct {
	Preparation
	before  []*preparer // what comes first, in order
	size    Size        // of the result
	mu      sync.Mutex
	scalers map[[2]image.Point]draw.Scaler
}

func newPreparer(p Preparation, size Size) *preparer {
	made := &preparer{Preparation: p, size: size, scalers: map[[2]image.Point]draw.Scaler{}}
	if b := p.Before; b != nil && b.OfPictures() {
		last := newPreparer(*b, b.result())
		made.before = append(last.before, last)
	}
	return made
}

// image makes dst of an image of rows x cols. It does not change src.
func (p *preparer) image(dst, src []byte, rows, cols int) {
	for _, b := range p.before {
		made := make([]byte, b.size.Rows*b.size.Cols)
		b.step(made, src, rows, cols)
		src, rows, cols = made, b.size.Rows, b.size.Cols
	}
	p.step(dst, src, rows, cols)
}

// step is image without what comes first.
func (p *preparer) step(dst, src []byte, rows, cols int) {
	if p.Before != nil && p.Range != (Range{}) { // others have had theirs
		scaled := make([]byte, len(src))
		for i, v := range src {
			scaled[i] = p.Range.level(float64(v))
		}
		src = scaled
	}
	if p.Invert || p.Transpose {
		changed := make([]byte, len(src))
		for i, v := range src {
			if p.Invert {
				v = 255 - v
			}
			j := i
			if p.Transpose {
				j = i%cols*rows + i/cols
			}
			changed[j] = v
		}
		if src = changed; p.Transpose {
			rows, cols = cols, rows
		}
	}
	if p.size == (Size{rows, cols}) {
		copy(dst, src)
		return
	}
	p.fit(dst, &image.Gray{Pix: src, Stride: cols, Rect: image.Rect(0, 0, cols, rows)})
}

// fit scales an image into dst, in the middle, with its border's level around it.
func (p *preparer) fit(dst []byte, src *image.Gray) {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	scale := min(float64(p.size.Cols)/float64(w), float64(p.size.Rows)/float64(h))
	side := func(n, most int) int { return min(most, max(1, int(math.Round(scale*float64(n))))) }
	to := image.Pt(side(w, p.size.Cols), side(h, p.size.Rows))
	result := &image.Gray{Pix: dst, Stride: p.size.Cols, Rect: image.Rect(0, 0, p.size.Cols, p.size.Rows)}
	if to.X < p.size.Cols || to.Y < p.size.Rows {
		border := appendBorder(nil, src.Pix, h, w)
		slices.Sort(border)
		draw.Draw(result, result.Rect, image.NewUniform(color.Gray{Y: border[len(border)/2]}), image.Point{}, draw.Src)
	}
	at := image.Pt((p.size.Cols-to.X)/2, (p.size.Rows-to.Y)/2)
	p.scaler(to, image.Pt(w, h)).Scale(result, image.Rectangle{Min: at, Max: at.Add(to)}, src, src.Rect, draw.Src, nil)
}

// mostScalers is how many sizes of pictures are remembered.
const mostScalers = 64

// scaler is CatmullRom from one size to another; its weights are made once.
func (p *preparer) scaler(to, from image.Point) draw.Scaler {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.scalers[[2]image.Point{to, from}]
	if s == nil {
		s = draw.CatmullRom.NewScaler(to.X, to.Y, from.X, from.Y)
		if len(p.scalers) < mostScalers {
			p.scalers[[2]image.Point{to, from}] = s
		}
	}
	return s
}

// appendBorder appends an image's outermost pixels.
func appendBorder(to, pixels []byte, rows, cols int) []byte {
	to = append(append(to, pixels[:cols]...), pixels[(rows-1)*cols:rows*cols]...)
	for y := range rows {
		to = append(to, pixels[y*cols], pixels[y*cols+cols-1])
	}
	return to
}

// look finds what training images are like: Whole, Light and Box.
func (p *Preparation) look(s *Images) {
	const (
		most     = 1000 // images that are looked at
		ink      = 32   // levels that ink differs from the background by
		even     = 0.7  // of the border that is background
		farther  = 0.06 // than this from MNIST's share of the box is worth to be remembered
		mnistBox = 20. / 28
	)
	step := max(1, s.Len()/most)
	var border []byte
	for i := 0; i < s.Len(); i += step {
		border = appendBorder(border, s.Image(i), s.Rows, s.Cols)
	}
	sorted := slices.Clone(border)
	slices.Sort(sorted)
	background := int(sorted[len(sorted)/2])
	differs := func(v byte) bool { return max(int(v)-background, background-int(v)) >= ink }
	same := 0
	for _, v := range border {
		if !differs(v) {
			same++
		}
	}
	p.Light = background > 127
	if p.Whole = float64(same) < even*float64(len(border)); p.Whole {
		return
	}
	var boxes []float64
	for i := 0; i < s.Len(); i += step {
		box := image.Rectangle{}
		for k, v := range s.Image(i) {
			if differs(v) {
				x, y := k%s.Cols, k/s.Cols
				box = box.Union(image.Rect(x, y, x+1, y+1))
			}
		}
		if !box.Empty() {
			boxes = append(boxes, max(float64(box.Dx())/float64(s.Cols), float64(box.Dy())/float64(s.Rows)))
		}
	}
	if boxes == nil {
		return
	}
	slices.Sort(boxes)
	if share := boxes[len(boxes)/2]; math.Abs(share-mnistBox) > farther {
		p.Box = Share(math.Round(100*share) / 100)
	}
}
