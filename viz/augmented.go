package viz

import (
	"fmt"

	"vanilla/internal/words"
)

// Augmented is training images as a recipe changes them from epoch to epoch.
type Augmented struct {
	Recipe string `json:"recipe"`
	// Changes are the recipe's ranges, in words.
	Changes []string `json:"changes"`
	Rows    int      `json:"rows"`
	Cols    int      `json:"cols"`
	Seed    uint64   `json:"seed"` // of the order
	Labels  []int    `json:"labels"`
	// Original are the images as they are, Changed the same in so many epochs.
	Original [][]byte   `json:"-"`
	Changed  [][][]byte `json:"-"`
}

// AugmentedRows is how many images the figure shows, AugmentedEpochs how often.
const (
	AugmentedRows   = 8
	AugmentedEpochs = 8
)

const augmentedPitch = 62.

func (a *Augmented) page() page {
	return page{
		title:    "What training makes of images: " + a.Recipe,
		subtitle: "Drawn again each epoch: " + words.And(a.Changes),
		caption: fmt.Sprintf("Each row is a training image, as it is and as it is trained on in %s. What happens to it is a function of the seed of the order (here %d), the epoch and the image.",
			words.Plural(AugmentedEpochs, "epoch"), a.Seed),
		width: (AugmentedEpochs+1)*augmentedPitch + 2, height: 22 + float64(len(a.Original))*augmentedPitch, body: a.draw,
	}
}

func (a *Augmented) draw(c *canvas, _ int) {
	cell := fit(a.Rows, a.Cols, augmentedPitch-6)
	small := style{size: 8, color: c.muted}
	c.text(0, 8, "as it is", small)
	for epoch := range AugmentedEpochs {
		c.text(float64(epoch+1)*augmentedPitch+8, 8, fmt.Sprintf("epoch %d", epoch+1), small)
	}
	for i, image := range a.Original {
		y := 16 + float64(i)*augmentedPitch
		c.picture(0, y, cell, a.Rows, a.Cols, image)
		for epoch, changed := range a.Changed[i] {
			c.picture(float64(epoch+1)*augmentedPitch+8, y, cell, a.Rows, a.Cols, changed)
		}
	}
}
