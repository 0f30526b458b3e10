package viz

import (
	"fmt"

	"vanilla/internal/words"
	"vanilla/model"
)

// Filters are a network's convolutions, seen as images: each filter is one image for
// every channel that it reads.
type Filters struct {
	Model        string        `json:"model"`
	Convolutions []Convolution `json:"convolutions"`
}

// Convolution is the filters of one.
type Convolution struct {
	Name     string `json:"name"` // of the parameter
	Filters  int    `json:"filters"`
	Channels int    `json:"channels"`
	Rows     int    `json:"rows"` // of a filter
	Cols     int    `json:"cols"`
	// Largest is the largest absolute weight.
	Largest float64 `json:"largest"`
	// Weights are [filters, channels, rows, cols].
	Weights []float32 `json:"weights"`
}

// NewFilters reads a model's convolutions: its parameters of four axes that are no
// single row. It is an error if there is none.
func NewFilters(m *model.Model, name string) (*Filters, error) {
	f := &Filters{Model: name}
	for _, p := range m.Params {
		if len(p.Shape) != 4 || p.Shape[2]*p.Shape[3] == 1 {
			continue
		}
		f.Convolutions = append(f.Convolutions, Convolution{Name: p.Name, Filters: p.Shape[0], Channels: p.Shape[1], Rows: p.Shape[2], Cols: p.Shape[3],
			Largest: largest(p.Data), Weights: p.Data})
	}
	if f.Convolutions == nil {
		return nil, fmt.Errorf("%s has no convolutions: want parameters of [filters, channels, rows, columns]", name)
	}
	return f, nil
}

const (
	filterSide    = 40. // of an image, at most
	filterGap     = 6.
	filterHeading = 20.
	filterLegend  = 30.
)

// filters is how many filters stand beside each other, each with all its channels.
func (v Convolution) filters() int {
	_, dx, _ := v.step()
	return min(v.Filters, max(1, int((bodyWidth+filterGap)/(float64(v.Channels)*dx+v.gap()))))
}

// gap is how much further apart filters stand than channels.
func (v Convolution) gap() float64 {
	if v.Channels == 1 {
		return 0
	}
	return 2 * filterGap
}

// step is how far apart images stand, in each direction.
func (v Convolution) step() (cell, dx, dy float64) {
	side := min(filterSide, (bodyWidth-20)/float64(v.Channels)-filterGap)
	cell = fit(v.Rows, v.Cols, side)
	return cell, float64(v.Cols)*cell + filterGap, float64(v.Rows)*cell + filterGap
}

func (v Convolution) height() float64 {
	_, _, dy := v.step()
	lines := (v.Filters + v.filters() - 1) / v.filters()
	return filterHeading + float64(lines)*dy + filterLegend
}

func (f *Filters) page() page {
	height := 0.
	for _, v := range f.Convolutions {
		height += v.height()
	}
	return page{
		title:    "Filters: " + f.Model,
		subtitle: words.Plural(len(f.Convolutions), "convolution") + ", each weight as a colour",
		width:    bodyWidth, height: height, body: f.draw,
	}
}

func (f *Filters) draw(c *canvas, _ int) {
	y := 0.
	for _, v := range f.Convolutions {
		about := fmt.Sprintf("%s of %d x %d", words.Plural(v.Filters, "filter"), v.Rows, v.Cols)
		if v.Channels > 1 {
			about += fmt.Sprintf(" on %d channels, which stand beside each other", v.Channels)
		}
		c.heading(y+10, v.Name, about)
		cell, dx, dy := v.step()
		size := v.Rows * v.Cols
		for i := range v.Filters * v.Channels {
			filter, channel := i/v.Channels, i%v.Channels
			x := float64(filter%v.filters())*(float64(v.Channels)*dx+v.gap()) + float64(channel)*dx
			c.weights(x, y+filterHeading+float64(filter/v.filters())*dy, cell, v.Rows, v.Cols, v.Weights[i*size:(i+1)*size], v.Largest)
		}
		c.legend(46, y+v.height()-filterLegend+2, 120, "weight", v.Largest)
		y += v.height()
	}
}
