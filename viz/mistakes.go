package viz

import (
	"cmp"
	"context"
	"fmt"
	"image/color"
	"math"
	"slices"

	"vanilla/dataset"
	"vanilla/internal/words"
)

// Mistakes are the test images that a network, or each of several networks, takes for something else.
type Mistakes struct {
	Models []string `json:"models"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	N       int     `json:"n"` // images
	// Errors is how many images each network gets wrong, and AllWrong how many all of them do.
	Errors   []int `json:"errors"`
	AllWrong int   `json:"all_wrong"`
	// Confusion counts images by label and guess, of all networks together.
	Confusion [][]int `json:"confusion"`
	// Wrong are the images that all get wrong, in the order of the set.
	Wrong []Mistake `json:"wrong"`
	// Softmax says that the first network's outputs are probabilities.
	Softmax bool `json:"softmax"`
	// Label and Guess, if not nil, are those of the images in Wrong, see Only.
	Label *int `json:"label,omitempty"`
	Guess *int `json:"guess,omitempty"`
	set   *dataset.Images
}

// Only leaves of Wrong the images with a label and a guess of the first network, each -1 for any.
func (m *Mistakes) Only(label, guess int) {
	if label >= 0 {
		m.Label = &label
	}
	if guess >= 0 {
		m.Guess = &guess
	}
	m.Wrong = slices.DeleteFunc(m.Wrong, func(w Mistake) bool {
		return m.Label != nil && w.Label != label || m.Guess != nil && w.Guess != guess
	})
}

// chosen says which mistakes are shown, if not all: "33 of them a 4 taken for a 9".
func (m *Mistakes) chosen() string {
	of, as := "", "something else"
	if m.Label != nil {
		of = " are " + m.Classes.article(*m.Label)
	}
	if m.Guess != nil {
		as = m.Classes.article(*m.Guess)
	}
	return fmt.Sprintf(": the %s that%s taken for %s", words.Thousands(len(m.Wrong)), cmp.Or(of, " are"), as)
}

// Mistake is one misclassified image.
type Mistake struct {
	Index int `json:"index"`
	Label int `json:"label"`
	// Guess is what the first network takes it for, and Confidence the output that says so.
	Guess      int     `json:"guess"`
	Confidence float64 `json:"confidence"`
	// Guesses are all networks'.
	Guesses []int `json:"guesses"`
}

// NewMistakes classifies a set of images.
func NewMistakes(ctx context.Context, networks []Network, set *dataset.Images) (*Mistakes, error) {
	m := &Mistakes{N: set.Len(), set: set, Wrong: []Mistake{}, Classes: Classes(set.Names)}
	classes := set.Classes
	for _, n := range networks {
		classes = max(classes, n.Classes())
	}
	m.Confusion = make([][]int, classes)
	for c := range m.Confusion {
		m.Confusion[c] = make([]int, classes)
	}
	guesses := make([][]int, set.Len())
	confidence := make([]float64, set.Len()) // of the first network
	for k, n := range networks {
		m.Models = append(m.Models, n.Name())
		p, err := n.Probabilities(ctx, set.Pixels)
		if err != nil {
			return nil, err
		}
		if k == 0 {
			m.Softmax = n.Softmax()
			if names := n.ClassNames(); names != nil {
				m.Classes = names
			}
		}
		wrong, own := 0, n.Classes()
		for i, label := range set.Labels {
			guess, sure := top(p[i*own : (i+1)*own])
			guesses[i] = append(guesses[i], guess)
			m.Confusion[label][guess]++
			if guess != int(label) {
				wrong++
			}
			if k == 0 {
				confidence[i] = float64(sure)
			}
		}
		m.Errors = append(m.Errors, wrong)
	}
	for i, g := range guesses {
		label := int(set.Labels[i])
		if !slices.Contains(g, label) {
			m.AllWrong++
			m.Wrong = append(m.Wrong, Mistake{Index: i, Label: label, Guess: g[0], Confidence: confidence[i], Guesses: g})
		}
	}
	return m, nil
}

const (
	mistakeColumns = 11
	mistakeRows    = 6
	mistakePitchX  = 53.
	mistakePitchY  = 60.
)

// rows is how many rows of images there are.
func (m *Mistakes) rows() float64 {
	return float64(min(mistakeRows, max(1, (len(m.Wrong)+mistakeColumns-1)/mistakeColumns)))
}

func (m *Mistakes) page() page {
	p := page{
		width: bodyWidth, height: m.rows()*m.pitchY() + 278 + m.above(), body: m.draw,
		caption: "Under each " + m.Classes.thing() + ": what it is → what the network takes it for, and " + m.sure() + ". " +
			"The matrix counts images; its diagonal, the right ones, is left out of the colours.",
	}
	shown := ""
	if m.Label != nil || m.Guess != nil {
		shown = m.chosen()
	}
	if len(m.Models) == 1 {
		p.title = "What it gets wrong: " + m.Models[0]
		p.subtitle = fmt.Sprintf("%s of %s test images%s, the most confident mistakes first", words.Thousands(m.Errors[0]), words.Thousands(m.N), shown)
		return p
	}
	p.title = "What both networks get wrong"
	if len(m.Models) > 2 {
		p.title = fmt.Sprintf("What all %d networks get wrong", len(m.Models))
	}
	for i, name := range m.Models {
		if i > 0 {
			p.subtitle += ", "
		}
		p.subtitle += fmt.Sprintf("%s %s", name, words.Thousands(m.Errors[i]))
	}
	p.subtitle = fmt.Sprintf("%s of %s test images are wrong in all of them (each alone: %s)%s; guesses of %s, the most confident first",
		words.Thousands(m.AllWrong), words.Thousands(m.N), p.subtitle, shown, m.Models[0])
	return p
}

// sure says what the number under a digit is.
func (m *Mistakes) sure() string {
	if m.Softmax {
		return "the probability that it gives"
	}
	return "its output for that, from 0 to 1"
}

// confidence prints the number under a digit, rounded down so that no mistake seems certain.
func (m *Mistakes) confidence(w Mistake) string {
	v := math.Floor(100 * w.Confidence)
	if m.Softmax {
		return fmt.Sprintf("%.0f %%", v)
	}
	return fmt.Sprintf("%.2f", v/100)
}

func (m *Mistakes) draw(c *canvas, _ int) {
	wrong := slices.Clone(m.Wrong)
	slices.SortStableFunc(wrong, func(a, b Mistake) int { return cmp.Compare(b.Confidence, a.Confidence) })
	cell := fit(m.set.Rows, m.set.Cols, mistakePitchX-9)
	for i, w := range wrong[:min(len(wrong), mistakeColumns*mistakeRows)] {
		x, y := float64(i%mistakeColumns)*mistakePitchX, float64(i/mistakeColumns)*m.pitchY()
		tw, th := c.picture(x, y, cell, m.set.Rows, m.set.Cols, m.set.Image(w.Index))
		m.under(c, x, y+th+9, tw, w)
	}
	if len(wrong) == 0 {
		none := "No image is misclassified."
		if m.Label != nil || m.Guess != nil {
			none = "No image is misclassified like that."
		}
		c.text(0, 20, none, style{size: 10})
	}
	top := m.rows()*m.pitchY() + 34
	m.matrix(c, 48+m.beside(), top+m.above())
	m.perClass(c, 390, top)
}

// under writes what an image is and what it is taken for. Names need a line each, and numbers have room for the
// confidence beside them.
func (m *Mistakes) under(c *canvas, x, y, width float64, w Mistake) {
	sure := style{size: 6.5, color: c.muted, align: right}
	if m.Classes == nil {
		c.text(x, y, fmt.Sprintf("%d → %d", w.Label, w.Guess), style{size: 8, bold: true})
		c.text(x+width, y, m.confidence(w), sure)
		return
	}
	const room = mistakePitchX - 5
	s := style{size: 6.5}
	c.text(x, y, m.Classes.shown(w.Label, s, room), s)
	s.bold = true
	share := sure.width(m.confidence(w))
	guess := s.cut("→ "+printable(m.Classes.name(w.Guess)), room-share-3)
	c.text(x, y+8, guess, s)
	sure.align = 0
	c.text(x+s.width(guess)+3, y+8, m.confidence(w), sure)
}

// pitchY is the height of a row of images: names take a line more.
func (m *Mistakes) pitchY() float64 {
	if m.Classes != nil {
		return mistakePitchY + 8
	}
	return mistakePitchY
}

// matrix draws the confusion matrix. The largest count off the diagonal has the strongest colour.
func (m *Mistakes) matrix(c *canvas, x, y float64) {
	n := len(m.Confusion)
	most := 0
	for r, row := range m.Confusion {
		for k, v := range row {
			if r != k {
				most = max(most, v)
			}
		}
	}
	cell := fit(n, n, 230)
	small := style{size: 7.5, color: c.muted, align: centred}
	w, h := c.grid(x, y, cell, n, n, func(i int) color.RGBA {
		if i/n == i%n {
			return blend(c.colors.grid, c.background, 0.35)
		}
		return c.amount(ratio(float64(m.Confusion[i/n][i%n]), float64(most)))
	})
	if cell >= 12 {
		for r, row := range m.Confusion {
			for k, v := range row {
				if v == 0 {
					continue
				}
				s := style{size: 7.5, align: centred, color: contrast(c.amount(ratio(float64(v), float64(most))))}
				if r == k {
					s.color = c.muted
				}
				c.text(x+(float64(k)+0.5)*cell, y+(float64(r)+0.5)*cell+2.7, fmt.Sprint(v), s)
			}
		}
	}
	if cell >= 7 && m.Classes == nil {
		for k := range n {
			c.text(x+(float64(k)+0.5)*cell, y-4, fmt.Sprint(k), small)
			c.text(x-8, y+(float64(k)+0.5)*cell+2.7, fmt.Sprint(k), small)
		}
	} else if cell >= 7 {
		s := style{size: math.Min(7.5, cell), color: c.muted}
		for k := range n {
			name := m.Classes.shown(k, s, longestBeside)
			c.rotated(x+(float64(k)+0.5)*cell+2.7, y-5-s.width(name)/2, name, style{size: s.size, color: c.muted, align: centred})
			s.align = right
			c.text(x-4, y+(float64(k)+0.5)*cell+2.7, name, s)
			s.align = 0
		}
	}
	c.text(x+w/2, y-15-m.above(), "taken for", style{size: 8, align: centred})
	if m.Classes == nil {
		c.text(x-16, y+h/2, m.Classes.thing(), style{size: 8, align: right})
	} else {
		c.text(x-4, y-5, "is", style{size: 8, align: right})
	}
}

// longestBeside is the room that a class's name has beside the matrix.
const longestBeside = 74.

// above and beside are the room that names take over the matrix and to its left, and above is how much more than numbers.
func (m *Mistakes) above() float64 {
	if m.Classes == nil {
		return 0
	}
	return m.beside() - 6
}

func (m *Mistakes) beside() float64 {
	if m.Classes == nil {
		return 12
	}
	return m.Classes.widest(len(m.Confusion), style{size: 7.5}, longestBeside)
}

// perClass draws how many images of each class are wrong.
func (m *Mistakes) perClass(c *canvas, x, y float64) {
	c.text(x, y-15, "wrong, of each class", style{size: 8})
	n := len(m.Confusion)
	step := math.Min(23, 230/float64(n))
	shares := make([]float64, n)
	most := 0.
	for r, row := range m.Confusion {
		total := 0
		for _, v := range row {
			total += v
		}
		if total > 0 {
			shares[r] = 1 - float64(row[r])/float64(total)
		}
		most = math.Max(most, shares[r])
	}
	label := style{size: 8, color: c.muted}
	left := 6 + m.Classes.widest(n, label, longestBeside)
	if m.Classes == nil {
		left = 14
	}
	bar := 124 - left
	for r, s := range shares {
		ly := y + float64(r)*step
		if step >= 8 {
			c.text(x, ly+step/2+2.7, m.Classes.shown(r, label, longestBeside), label)
			c.text(x+left+6+ratio(s, most)*bar, ly+step/2+2.7, percent(s), style{size: 7.5, color: c.muted})
		}
		c.fill(x+left, ly+step*0.2, ratio(s, most)*bar, step*0.6, c.good)
	}
}
