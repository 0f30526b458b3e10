package graph

import (
	"fmt"
	"strings"
	"testing"

	"vanilla/graph/ir"
)

// What it takes to get from widths to a program, and what each part of it takes:
// the graph with Gorgonia's gradients (stage=grad), the lowering (stage=lower) and
// each of its passes.
func BenchmarkGraph(b *testing.B) {
	for _, widths := range [][]int{{784, 16, 16, 10}, {784, 100, 10}, {784, 16, 16, 16, 16, 16, 16, 10}} {
		a := Arch{Widths: widths, Activation: ir.Sigmoid, Loss: CrossEntropy}
		arch := "/arch=" + strings.ReplaceAll(strings.Trim(fmt.Sprint(widths), "[]"), " ", "-")
		b.Run("stage=grad"+arch, func(b *testing.B) {
			for b.Loop() {
				if _, err := Builder(a.Build).Differentiate(32); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("stage=lower"+arch, func(b *testing.B) {
			for b.Loop() {
				if _, err := New(a); err != nil {
					b.Fatal(err)
				}
			}
		})
		for n, p := range newLowering("", nil).passes() {
			b.Run("stage=lower/pass="+p.name+arch, func(b *testing.B) {
				for i := 0; i < b.N; i++ {
					b.StopTimer()
					passes := newLowering("", a.Build).passes()
					for k, pass := range passes[:n+1] {
						if k == n {
							b.StartTimer()
						}
						if _, err := pass.run(); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
