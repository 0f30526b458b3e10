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

// What an architecture can have, each by itself, takes less than 20 ms to lower, and all
// of it at once less than 100.
func BenchmarkLower(b *testing.B) {
	lesson, deep := []int{784, 16, 16, 10}, []int{784, 128, 64, 64, 64, 10}
	for _, k := range []struct {
		name string
		arch Arch
	}{
		{"chain", Arch{Widths: lesson, Activation: ir.Sigmoid, Loss: CrossEntropy}},
		{"quadratic", Arch{Widths: lesson, Activation: ir.Sigmoid, Loss: Quadratic}},
		{"gelu", Arch{Widths: deep, Activation: ir.GELUTanh, Loss: CrossEntropy}},
		{"activations", Arch{Widths: deep, Activation: ir.ReLU, Loss: CrossEntropy, Activations: []ir.Activation{ir.Tanh, ir.SiLU, ir.Softsign, ir.LeakyReLU}}},
		{"residual", Arch{Widths: deep, Activation: ir.ReLU, Loss: CrossEntropy, Block: Residual}},
		{"gated", Arch{Widths: deep, Activation: ir.ReLU, Loss: CrossEntropy, Block: Gated}},
		{"layer-norm", Arch{Widths: deep, Activation: ir.ReLU, Loss: CrossEntropy, LayerNorm: true}},
		{"dropout", Arch{Widths: deep, Activation: ir.ReLU, Loss: CrossEntropy, Dropout: 0.5, InputDropout: 0.2}},
		{"label-smoothing", Arch{Widths: deep, Activation: ir.ReLU, Loss: CrossEntropy, LabelSmoothing: 0.1}},
		{"everything", Arch{Widths: deep, Activation: ir.GELUTanh, Loss: CrossEntropy, Block: Gated, LayerNorm: true, Dropout: 0.5, InputDropout: 0.2, LabelSmoothing: 0.1}},
	} {
		b.Run("arch="+k.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := New(k.arch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
		})
	}
}
