package graph

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/gorgonia"
)

// Loss is what training minimises: the name of a [LossKind].
type Loss string

const (
	// CrossEntropy is the softmax cross-entropy of linear outputs.
	CrossEntropy Loss = "cross-entropy"
	// Quadratic is the lesson's cost: the squared differences between sigmoid
	// outputs and one-hot targets, summed over outputs.
	Quadratic Loss = "quadratic"
)

// LossKind is what there is to know of a loss.
type LossKind struct {
	Name Loss
	Help string // what it is of, in a few words
	// write gives a graph whose last layer is z its Output and its Loss, with those
	// targets.
	write func(g *Graph, z, targets *gorgonia.Node)
}

var losses = [...]LossKind{
	{CrossEntropy, "of the softmax", func(g *Graph, z, targets *gorgonia.Node) {
		g.Output = z
		logProb := must(gorgonia.LogSoftMax(z))
		g.Loss = must(gorgonia.Neg(must(gorgonia.Mean(must(gorgonia.Sum(must(gorgonia.HadamardProd(targets, logProb)), 1))))))
	}},
	{Quadratic, "of sigmoid outputs", func(g *Graph, z, targets *gorgonia.Node) {
		g.Output = must(gorgonia.Sigmoid(z))
		diff := must(gorgonia.Sub(g.Output, targets))
		g.Loss = must(gorgonia.Mean(must(gorgonia.Sum(must(gorgonia.Square(diff)), 1))))
	}},
}

// Losses lists the losses of chains of layers.
func Losses() []LossKind { return slices.Clone(losses[:]) }

// LossNames lists the losses' names.
func LossNames() []string {
	var names []string
	for _, k := range losses {
		names = append(names, string(k.Name))
	}
	return names
}

// ParseLoss finds a loss by its name. The error lists the names.
func ParseLoss(name string) (Loss, error) {
	if !slices.Contains(LossNames(), name) {
		return "", fmt.Errorf("no loss is called %q: there are %s", name, strings.Join(LossNames(), ", "))
	}
	return Loss(name), nil
}
