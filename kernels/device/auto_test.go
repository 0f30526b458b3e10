package device

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
	"vanilla/kernels/cpu"
	"vanilla/kernels/ref"
)

// refusing is auto with an executor in the GPUs' place that does not run networks of
// more than one layer.
func refusing(told *[]string) *auto {
	a := &auto{Executor: ref.New(), cpu: cpu.New(), refuses: func(p *ir.Program, _ int) error {
		if len(p.Params) > 2 {
			return errors.New("it is deep")
		}
		return nil
	}}
	Tell(a, func(line string) { *told = append(*told, line) })
	return a
}

func network(t *testing.T, widths ...int) *ir.Program {
	t.Helper()
	n, err := graph.New(graph.Arch{Widths: widths, Activation: ir.Sigmoid, Loss: graph.CrossEntropy})
	if err != nil {
		t.Fatal(err)
	}
	return n.Program
}

// A population of what the GPUs run and what they do not is trained as if each of
// the two executors had trained its part alone, and a line says so once.
func TestAutoDivides(t *testing.T) {
	shallow, deep := network(t, 12, 4), network(t, 12, 5, 4)
	data := conformance.Data(shallow, 40)
	variants := []kernels.Variant{conformance.Variant(deep, 10), conformance.Variant(shallow, 10), conformance.Variant(deep, 7)}
	variants[2].Seed = 9
	until := []int{5, 8, 12}
	var told []string
	train := func(exec kernels.Executor, some ...int) (states []kernels.State, reports []kernels.Report) {
		t.Helper()
		chosen, targets := make([]kernels.Variant, len(some)), make([]int, len(some))
		for k, i := range some {
			chosen[k], targets[k] = variants[i], until[i]
		}
		p, err := exec.Prepare(data, chosen)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Advance(t.Context(), targets, func(r kernels.Report) {
			r.Variant = some[r.Variant]
			reports = append(reports, r)
		}); err != nil {
			t.Fatal(err)
		}
		for k := range some {
			want := cpu.New().Arithmetic()
			if variants[some[k]].Program() == shallow {
				want = ref.New().Arithmetic()
			}
			if got := kernels.ArithmeticOf(exec, p, k); got != want {
				t.Errorf("variant %d is trained in %s, want %s", some[k], got, want)
			}
			s, err := p.State(k)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Restore(k, s); err != nil {
				t.Fatal(err)
			}
			if score, err := p.Evaluate(t.Context(), k, kernels.Test); err != nil || score.N != data.Test.Len() {
				t.Errorf("variant %d: %d examples evaluated, err %v", some[k], score.N, err)
			}
			states = append(states, s)
		}
		slices.SortFunc(reports, func(a, b kernels.Report) int {
			if a.Variant != b.Variant {
				return a.Variant - b.Variant
			}
			return a.Step - b.Step
		})
		return states, reports
	}
	got, reports := train(refusing(&told), 0, 1, 2)
	train(refusing(new([]string)), 0, 2)
	deepStates, deepReports := train(cpu.New(), 0, 2)
	shallowStates, shallowReports := train(ref.New(), 1)
	if want := []kernels.State{deepStates[0], shallowStates[0], deepStates[1]}; !reflect.DeepEqual(got, want) {
		t.Error("the states are not those of the parts")
	}
	want := slices.Concat(deepReports, shallowReports)
	slices.SortFunc(want, func(a, b kernels.Report) int { return 100*(a.Variant-b.Variant) + a.Step - b.Step })
	if len(want) == 0 || !reflect.DeepEqual(reports, want) {
		t.Errorf("reports %v, want %v", reports, want)
	}
	if want := []string{"the CPU trains 2 of the first 3 networks: it is deep"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// What trains all networks of a run is what the run records.
func TestAutoFor(t *testing.T) {
	shallow, deep := conformance.Variant(network(t, 12, 4), 10), conformance.Variant(network(t, 12, 5, 4), 10)
	for _, c := range []struct {
		variants []kernels.Variant
		want     string
		told     int
	}{
		{[]kernels.Variant{shallow}, "ref", 0},
		{[]kernels.Variant{deep, deep}, "cpu", 1},
		{[]kernels.Variant{shallow, deep}, "ref", 0}, // told when they are prepared
	} {
		var told []string
		exec, err := For(refusing(&told), func() ([]kernels.Variant, error) { return c.variants, nil })
		if err != nil || exec.Name() != c.want || len(told) != c.told {
			t.Errorf("%d variants: %v, told %q, err %v; want %s", len(c.variants), exec, told, err, c.want)
		}
	}
	broken := errors.New("broken")
	if _, err := For(refusing(new([]string)), func() ([]kernels.Variant, error) { return nil, broken }); err != broken {
		t.Errorf("err %v, want %v", err, broken)
	}
	exec := ref.New()
	if got, err := For(exec, nil); got != exec || err != nil {
		t.Errorf("a plain executor became %v, err %v", got, err)
	}
}

// Inference, and what is explained, are of the executor that runs the program.
func TestAutoRoutes(t *testing.T) {
	a := refusing(new([]string))
	for _, p := range []*ir.Program{network(t, 12, 4), network(t, 12, 5, 4)} {
		v := conformance.Variant(p, 10)
		n, err := a.Infer(p, v.InitialState().Params, 10)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := n.Outputs(context.Background(), make([]byte, 2*12)); err != nil || len(out) != 8 {
			t.Errorf("outputs %v, err %v", out, err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		lines, err := a.Explain(p, v.Optimizer)
		if err != nil {
			t.Fatal(err)
		}
		if refused := strings.Contains(lines[0], "the CPU trains it: it is deep"); refused != (len(p.Params) > 2) {
			t.Errorf("explained as %q", lines)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
