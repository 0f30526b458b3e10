package train

import (
	"context"
	"fmt"
	"math"
	"strings"

	"vanilla/graph"
	"vanilla/infer/quality"
	"vanilla/kernels"
)

// Stuck is how a network that was trained has not learned.
type Stuck string

const (
	// StuckLoss is a loss that stays at what it is for a network that says the same of
	// every image: the entropy of the labels, at most log(classes), or for the
	// quadratic cost 1 − Σ p² of their frequencies p.
	StuckLoss Stuck = "loss at chance"
	// StuckAccuracy is an accuracy that is not above the most frequent label's share.
	StuckAccuracy Stuck = "accuracy at chance"
	// StuckExploded is a loss far above that of guessing, of a network that gets few
	// images right: it diverged, though its numbers are still finite.
	StuckExploded Stuck = "loss far above chance"
	// StuckDead is a hidden layer of which at least half the units do nothing.
	StuckDead Stuck = "dead units"
)

// What is called stuck. The bounds are such that no recipe and no network that is built
// in is.
const (
	// fromChance is how far from guessing's a loss may be that stays there.
	fromChance = 0.01
	// exploded is how many times guessing's loss is far above it.
	exploded = 10
	// fewImages do not tell an accuracy from chance.
	fewImages = 100
	// deadShare is which part of a layer's units must be dead.
	deadShare = 0.5
)

// Chance is what guessing reaches on a set of images.
type Chance struct {
	n int
	// frequent is the share of the most frequent label, loss that of the best constant
	// answer, NaN if it is not known.
	frequent, loss float64
}

// ChanceOf is what guessing reaches on labels of so many classes, and the loss that a
// recipe then has. A network that is no recipe's has a loss of its own.
func ChanceOf(labels []byte, classes int, r Recipe, own bool) Chance {
	c := Chance{n: len(labels), loss: math.NaN()}
	shares := make([]float64, classes)
	for _, l := range labels {
		shares[l] += 1 / float64(max(1, len(labels)))
	}
	entropy, squares := 0., 0.
	for _, p := range shares {
		c.frequent = max(c.frequent, p)
		squares += p * p
		if p = (1-r.LabelSmoothing)*p + r.LabelSmoothing/float64(classes); p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	switch {
	case own:
	case r.Loss == string(graph.CrossEntropy):
		c.loss = entropy
	case r.Loss == string(graph.Quadratic):
		c.loss = 1 - squares
	}
	return c
}

// Of is how a network that was scored on the images is stuck.
func (c Chance) Of(score kernels.Score) []Stuck {
	var found []Stuck
	accuracy := score.Accuracy()
	atChance := c.n >= fewImages && accuracy <= c.frequent+math.Sqrt(c.frequent*(1-c.frequent)/float64(c.n))
	// The loss of a network that is too sure of itself may be any: it gets most images
	// right.
	poor := accuracy < (1+c.frequent)/2
	if poor && math.Abs(score.Loss-c.loss) <= fromChance*c.loss {
		found = append(found, StuckLoss)
	}
	if poor && score.Loss > exploded*c.loss {
		found = append(found, StuckExploded)
	}
	if atChance {
		found = append(found, StuckAccuracy)
	}
	return found
}

// HiddenOf finds the dead units of a network in training, by what leaves them on images.
func HiddenOf(ctx context.Context, exec kernels.Executor, v kernels.Variant, params [][]float32, pixels []byte) (layers []quality.Layer, err error) {
	n, err := exec.Infer(v.Source, params, v.Batch)
	if err != nil {
		return nil, err
	}
	ranges, err := kernels.Ranges(ctx, n, v.Program(), v.Batch, pixels, quality.DeadRange)
	for _, r := range ranges {
		layers = append(layers, quality.NewLayer(r.Name, r.Layer, r.Low, r.High))
	}
	if closed := n.Close(); err == nil {
		err = closed
	}
	return layers, err
}

// StuckUnits is StuckDead if half the units of a layer are dead.
func StuckUnits(layers []quality.Layer) []Stuck {
	for _, l := range layers {
		if float64(len(l.Dead)) >= deadShare*float64(l.Units) {
			return []Stuck{StuckDead}
		}
	}
	return nil
}

// StuckText says in words how a result is stuck, "" if it is not.
func (r *Result) StuckText() string {
	var parts []string
	for _, s := range r.Stuck {
		switch s {
		case StuckLoss:
			parts = append(parts, fmt.Sprintf("its test loss at the end is %.4g, what a network has that says the same of every image", r.Test.Loss))
		case StuckExploded:
			parts = append(parts, fmt.Sprintf("its test loss at the end is %.4g, far above that of guessing", r.Test.Loss))
		case StuckAccuracy:
			parts = append(parts, fmt.Sprintf("its accuracy is chance's, %.2f %%", 100*r.Test.Accuracy()))
		case StuckDead:
			for _, l := range r.Hidden {
				if float64(len(l.Dead)) >= deadShare*float64(l.Units) {
					parts = append(parts, fmt.Sprintf("%d of %d units of %s are dead", len(l.Dead), l.Units, l.Title()))
				}
			}
		}
	}
	return strings.Join(parts, "; ")
}
