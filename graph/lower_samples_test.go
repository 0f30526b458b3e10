package graph_test

import (
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"vanilla/graph"
	"vanilla/graph/samples"
)

// Every sample is lowered or refused as it says, the plain chains become layer
// operations, and what only looks like one does not.
func TestSamples(t *testing.T) {
	for _, s := range samples.All() {
		n, err := graph.Lower(s.Name, s.Build(tensor.Float32))
		switch {
		case s.Refused != "" && err == nil:
			t.Errorf("%s: accepted", s.Name)
		case s.Refused != "" && !strings.Contains(err.Error(), s.Refused):
			t.Errorf("%s: refused with %v, want %q in it", s.Name, err, s.Refused)
		case s.Refused != "":
		case err != nil:
			t.Errorf("%s: %v", s.Name, err)
		case s.Plain && n.Unfused() != nil:
			t.Errorf("%s: not fused: %v", s.Name, n.Unfused())
		case s.Wrong && n.Unfused() == nil:
			t.Errorf("%s: fused to\n%s", s.Name, n.Program)
		default:
			if !s.Plain && n.Unfused() == nil {
				t.Logf("%s: fused", s.Name)
			}
		}
	}
}
