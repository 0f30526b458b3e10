package bench

import (
	"context"
	"math"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/kernels"
	"vanilla/kernels/conformance"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
)

func testCase(t *testing.T) Case {
	t.Helper()
	n, err := graph.New(graph.Arch{Widths: []int{64, 5, 3}, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	v := conformance.Variant(n.Program, 10)
	v.Epochs = 3
	return Case{Suite: "step", Variant: v, Widths: []int{64, 5, 3}, Data: conformance.Data(n.Program, 1)}
}

func TestRun(t *testing.T) {
	var sequence []string
	results, err := Run(context.Background(), testCase(t), []kernels.Executor{ref.New(), cpu.New()}, true, 3,
		func(executor string, round int) { sequence = append(sequence, executor) })
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(sequence, " "), "handrolled ref cpu ref cpu handrolled cpu handrolled ref"; got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	for i, name := range []string{Handrolled, "ref", "cpu"} {
		r := results[i]
		if r.Executor != name || r.N != 3 || r.Batch != 10 || !(r.Median > 0) || r.LowerQuartile > r.Median || r.UpperQuartile < r.Median {
			t.Errorf("%+v", r)
		}
		if want := results[0].Median / r.Median; r.Ratio != want {
			t.Errorf("%s: ratio %g, want %g", name, r.Ratio, want)
		}
		if math.Abs(r.Loss-results[0].Loss) > LossTolerance*results[0].Loss {
			t.Errorf("%s: loss %g, that of %s %g", name, r.Loss, results[0].Executor, results[0].Loss)
		}
	}
	var table strings.Builder
	if err := WriteTable(&table, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"handrolled", "1.00", "3 interleaved rounds", results[0].Machine.CPU} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, table.String())
		}
	}
}

// wrong is an executor that trains something else: its step size is off.
type wrong struct{ kernels.Executor }

func (wrong) Name() string { return "wrong" }

func (w wrong) Prepare(d kernels.Data, variants []kernels.Variant) (kernels.Population, error) {
	v := variants[0]
	v.Rate.StepSize *= 2
	return w.Executor.Prepare(d, []kernels.Variant{v})
}

// An executor that does other work gets no time.
func TestWrongExecutorCannotWin(t *testing.T) {
	_, err := Run(context.Background(), testCase(t), []kernels.Executor{wrong{ref.New()}}, true, 1, func(string, int) {})
	if err == nil || !strings.Contains(err.Error(), "wrong: the first epoch's loss is") {
		t.Errorf("%v", err)
	}
}

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		sample            []float64
		low, median, high float64
	}{
		{[]float64{4}, 4, 4, 4},
		{[]float64{3, 1}, 1.5, 2, 2.5},
		{[]float64{5, 1, 4, 2, 3}, 2, 3, 4},
	} {
		if l, m, h := quartiles(c.sample); l != c.low || m != c.median || h != c.high {
			t.Errorf("quartiles(%v) = %g, %g, %g", c.sample, l, m, h)
		}
	}
}
