package viz

import (
	"fmt"

	"vanilla/internal/words"
)

// Pictures are images as a network saw them, whatever they were before.
type Pictures struct {
	Model string `json:"model"`
	// Classes are what the classes are called, if not by their numbers.
	Classes Classes `json:"classes,omitempty"`
	Rows    int     `json:"rows"`
	Cols    int     `json:"cols"`
	// Softmax says that the outputs are probabilities.
	Softmax bool   `json:"softmax"`
	Seen    []Seen `json:"seen"`
}

// Seen is one image with what the network takes it for.
type Seen struct {
	Name        string  `json:"name"`
	Class       int     `json:"class"`
	Probability float64 `json:"probability"` // by the network's own account
	Pixels      []byte  `json:"-"`           // row-major
}

const (
	pictureColumns = 4
	picturePitch   = bodyWidth/pictureColumns + 4
	pictureSide    = 124.
	pictureText    = 34.
)

func (p *Pictures) page() page {
	rows := (len(p.Seen) + pictureColumns - 1) / pictureColumns
	cell := fit(p.Rows, p.Cols, pictureSide)
	return page{
		title:    "What the network saw: " + p.Model,
		subtitle: fmt.Sprintf("%s of %d x %d pixels, as they were fed to the network", words.Plural(len(p.Seen), "image"), p.Rows, p.Cols),
		width:    bodyWidth, height: float64(rows) * (float64(p.Rows)*cell + pictureText), body: p.draw,
	}
}

func (p *Pictures) draw(c *canvas, _ int) {
	cell := fit(p.Rows, p.Cols, pictureSide)
	name := style{size: 8, color: c.muted}
	for i, s := range p.Seen {
		x, y := float64(i%pictureColumns)*picturePitch, float64(i/pictureColumns)*(float64(p.Rows)*cell+pictureText)
		_, h := c.picture(x, y, cell, p.Rows, p.Cols, s.Pixels)
		c.text(x, y+h+11, name.cut(s.Name, picturePitch-12), name)
		bold := style{size: 9, bold: true}
		end := "”: " + share(s.Probability, p.Softmax)
		c.text(x, y+h+22, "“"+p.Classes.shown(s.Class, bold, picturePitch-12-bold.width("“"+end))+end, bold)
	}
}
