package graph_test

import (
	"strings"
	"testing"

	"vanilla/graph"
)

// What a Builder forgets is named.
func TestBuilderErrors(t *testing.T) {
	for want, spoil := range map[string]func(*graph.Graph){
		"the builder set no Expr":                              func(g *graph.Graph) { g.Expr = nil },
		"the builder set no X":                                 func(g *graph.Graph) { g.X = nil },
		"the builder set no Y":                                 func(g *graph.Graph) { g.Y = nil },
		"the builder set no Output":                            func(g *graph.Graph) { g.Output = nil },
		"the builder set no Loss":                              func(g *graph.Graph) { g.Loss = nil },
		"the builder set no Params: there is nothing to train": func(g *graph.Graph) { g.Params = nil },
		"the builder set no node for parameter 1 of Params":    func(g *graph.Graph) { g.Params[1] = nil },
		"parameter W1 is in Params twice":                      func(g *graph.Graph) { g.Params = append(g.Params, g.Params[0]) },
		"the loss depends on the input W2[5 5], which is neither X nor Y: is it missing in Params?": func(g *graph.Graph) {
			g.Params = append(g.Params[:2], g.Params[3:]...)
		},
	} {
		_, err := graph.Lower("spoilt", func(batch int) (*graph.Graph, error) {
			g, err := residual(batch)
			if err == nil {
				spoil(g)
			}
			return g, err
		})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "nil pointer") {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := graph.Lower("none", func(int) (*graph.Graph, error) { return nil, nil }); err == nil || !strings.Contains(err.Error(), "the builder returned no graph") {
		t.Errorf("error %v for no graph", err)
	}
}
