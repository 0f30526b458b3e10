// Package stripes makes data that tests learn in no time.
package stripes

import (
	"math/rand/v2"

	"vanilla/dataset"
)

// New is a data set of 4x4 images in three classes, of which class c has a bright row c:
// pixels are uniform below noise, and brighter by line in that row.
func New(name string, train, test, noise, line int) *dataset.Dataset {
	random := rand.New(rand.NewPCG(1, 2))
	images := func(n int) *dataset.Images {
		s := &dataset.Images{Rows: 4, Cols: 4, Classes: 3}
		for i := range n {
			for p := range 16 {
				pixel := byte(random.IntN(noise))
				if p/4 == i%3 {
					pixel += byte(line)
				}
				s.Pixels = append(s.Pixels, pixel)
			}
			s.Labels = append(s.Labels, byte(i%3))
		}
		return s
	}
	return &dataset.Dataset{Name: name, Train: images(train), Test: images(test)}
}
