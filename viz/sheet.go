package viz

import (
	"fmt"

	"vanilla/dataset"
	"vanilla/internal/words"
)

// Sheet shows the first images of each class of a data set.
type Sheet struct {
	Data    string  `json:"data"`
	Classes Classes `json:"classes,omitempty"` // what the classes are called, if not by their numbers
	Images  int     `json:"images"`
	// Counts are how many images each class has, and First the numbers of those that are shown.
	Counts []int   `json:"counts"`
	First  [][]int `json:"first"`

	set *dataset.Images
}

const (
	sheetRow     = 40.
	sheetPitch   = 38.
	sheetSide    = 34.
	sheetName    = 96.
	sheetClasses = 32 // in a column
	mostOfClass  = 12 // images
)

// NewSheet takes the first images of each class, fewer where there are many classes.
func NewSheet(name string, set *dataset.Images) *Sheet {
	s := &Sheet{Data: name, Classes: set.Names, Images: set.Len(), Counts: set.Counts(), First: make([][]int, set.Classes), set: set}
	most := s.each()
	for i, label := range set.Labels {
		if of := s.First[label]; len(of) < most {
			s.First[label] = append(of, i)
		}
	}
	return s
}

// columns is in how many columns the classes stand, and each how many images of a class there are in one.
func (s *Sheet) columns() int { return (len(s.Counts) + sheetClasses - 1) / sheetClasses }

func (s *Sheet) each() int { return max(3, mostOfClass/s.columns()) }

func (s *Sheet) pitch() float64 { return sheetName + float64(s.each())*sheetPitch + 12 }

func (s *Sheet) page() page {
	noun := "classes"
	if len(s.Counts) == 1 {
		noun = "class"
	}
	return page{
		title:    "What is in it: " + s.Data,
		subtitle: fmt.Sprintf("%s of %d x %d pixels in %d %s, the first of each", words.Plural(s.Images, "training image"), s.set.Rows, s.set.Cols, len(s.Counts), noun),
		width:    max(bodyWidth, float64(s.columns())*s.pitch()-12), height: float64(min(len(s.Counts), sheetClasses)) * sheetRow, body: s.draw,
	}
}

func (s *Sheet) draw(c *canvas, _ int) {
	cell := fit(s.set.Rows, s.set.Cols, sheetSide)
	bold, small := style{size: 9, bold: true}, style{size: 7.5, color: c.muted}
	for class, first := range s.First {
		x, y := float64(class/sheetClasses)*s.pitch(), float64(class%sheetClasses)*sheetRow
		c.text(x, y+15, s.Classes.shown(class, bold, sheetName-8), bold)
		c.text(x, y+26, words.Plural(s.Counts[class], "image"), small)
		for k, i := range first {
			c.picture(x+sheetName+float64(k)*sheetPitch, y, cell, s.set.Rows, s.set.Cols, s.set.Image(i))
		}
	}
}
