package cpu

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vanilla/graph/ir"
	"vanilla/kernels"
)

// TestPlan: which fusions a program gets, and that it computes the same either
// way.
func TestPlan(t *testing.T) {
	b := newBuilder(8, 3)
	z := b.layer(b.p.Input, 3)
	h := b.act(ir.Softplus, z) // its slope is not read off h, so z stays
	b.loss(ir.Xent, b.layer(h, 3), 1)
	keepsSums := b.program(t)

	b = newBuilder(8, 3)
	h = b.act(ir.Sigmoid, b.layer(b.p.Input, 3))
	z = b.layer(h, 3)
	b.loss(ir.Xent, b.add(z, h, 1), 1) // the gradient of h has two parts
	sumsGradients := b.program(t)

	sgd := kernels.Optimizer{Name: "sgd", WeightDecay: 0.25}
	for _, test := range []struct {
		name      string
		p         *ir.Program
		optimizer kernels.Optimizer
		want      []string
	}{
		{"all fusions", chain(t, ir.Sigmoid, ir.Xent, 8, 4, 3), sgd, []string{
			"dense sparse x0 W2 b3 + act sigmoid -> h5",
			"dense h5 W6 b7 -> z8",
			"xent z8 + dxent -> l9 dz10",
			"dinput dz10 W6 + dact sigmoid at h5 -> dz14",
			"dweight dz14 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz14 + update by sgd -> b3",
			"dweight dz10 h5 + update by sgd decay 0.25 -> W6",
			"dbias dz10 + update by sgd -> b7",
		}},
		{"quadratic cost", chain(t, ir.Sigmoid, ir.Quad, 8, 3), sgd, []string{
			"dense sparse x0 W2 b3 + act sigmoid -> h5",
			"quad h5 + dquad -> l6 da7",
			"dact sigmoid at h5 da7 -> dz8",
			"dweight dz8 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz8 + update by sgd -> b3",
		}},
		{"another optimizer", chain(t, ir.Sigmoid, ir.Xent, 8, 3), kernels.Optimizer{Name: "other", WeightDecay: 0.25}, []string{
			"dense sparse x0 W2 b3 -> z4",
			"xent z4 + dxent -> l5 dz6",
			"dweight dz6 sparse x0 + update by other decay 0.25 -> W2",
			"dbias dz6 + update by other -> b3",
		}},
		{"sums that are needed", keepsSums, sgd, []string{
			"dense sparse x0 W2 b3 -> z4",
			"act softplus z4 -> h5",
			"dense h5 W6 b7 -> z8",
			"xent z8 + dxent -> l9 dz10",
			"dinput dz10 W6 + dact softplus at z4 -> dz14",
			"dweight dz14 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz14 + update by sgd -> b3",
			"dweight dz10 h5 + update by sgd decay 0.25 -> W6",
			"dbias dz10 + update by sgd -> b7",
		}},
		{"a gradient in two parts", sumsGradients, sgd, []string{
			"dense sparse x0 W2 b3 + act sigmoid -> h5",
			"dense h5 W6 b7 -> z8",
			"add z8 + 1·h5 -> s9",
			"xent s9 + dxent -> l10 dz11",
			"dinput dz11 W6 -> dh14",
			"add dz11 + 1·dh14 -> s15",
			"dact sigmoid at h5 s15 -> dz16",
			"dweight dz16 sparse x0 + update by sgd decay 0.25 -> W2",
			"dbias dz16 + update by sgd -> b3",
			"dweight dz11 h5 + update by sgd decay 0.25 -> W6",
			"dbias dz11 + update by sgd -> b7",
		}},
		{"decay in the loss", penalised(t, 8, 4, 3), sgd, []string{
			"dense sparse x0 W2 + act tanh -> h5",
			"dense h5 W3 b6 -> z7",
			"xent z7 + dxent -> l8 dz11",
			"l2 l8 + 0.01/2·ΣW2² -> l9",
			"l2 l9 + 0.02/2·ΣW3² -> l10",
			"dinput dz11 W3 + dact tanh at h5 -> dz15",
			"dweight dz15 sparse x0 + update by sgd decay 0.26 -> W2",
			"dweight dz11 h5 + update by sgd decay 0.27 -> W3",
			"dbias dz11 + update by sgd -> b6",
		}},
		{"weights and bias at once", both(t, 4, true), sgd, []string{
			"x0 as float32",
			"dense sparse x0 W2 W3 copied to a row + act tanh -> h5",
			"dense x0 W3 -> z6",
			"dense z6 W7 b8 -> z9",
			"add h5 + 1·z9 -> s10",
			"xent s10 + dxent -> l11 dz12",
			"dinput dz12 W7 -> dh15",
			"dweight dh15 x0 -> dW16",
			"dact tanh at h5 dz12 -> dz17",
			"dbias dz17 copied from a row -> db19",
			"add dW16 + 1·db19 -> s20",
			"dweight dz17 sparse x0 + update by sgd decay 0.25 -> W2",
			"update s20 by sgd decay 0.25 -> W3",
			"dweight dz12 z6 + update by sgd decay 0.25 -> W7",
			"dbias dz12 + update by sgd -> b8",
		}},
		{"shared weights", shared(t, 4, 3), kernels.Optimizer{Name: "sgd"}, []string{
			"x0 as float32",
			"dense x0 W2 b3 + act sigmoid -> h5",
			"dense h5 W2 b3 + act sigmoid -> h7",
			"dense h7 W8 b9 -> z10",
			"xent z10 + dxent -> l11 dz12",
			"dinput dz12 W8 + dact sigmoid at h7 -> dz16",
			"dweight dz16 h5 -> dW17",
			"dbias dz16 -> db18",
			"dinput dz16 W2 + dact sigmoid at h5 -> dz20",
			"dweight dz20 x0 -> dW21",
			"add dW17 + 1·dW21 -> s22",
			"dbias dz20 -> db23",
			"add db18 + 1·db23 -> s24",
			"update s22 by sgd -> W2",
			"update s24 by sgd -> b3",
			"dweight dz12 h7 + update by sgd -> W8",
			"dbias dz12 + update by sgd -> b9",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := compile(test.p, test.optimizer)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.lines(); !slices.Equal(got, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
			if test.optimizer.Name == "sgd" {
				compare(t, variant(test.p, 10, test.optimizer.WeightDecay), data(test.p.Features(), test.p.Classes(), 20, mixedData))
			}
		})
	}
}

// A pass that leaves a list which cannot run is an error that names it.
func TestBrokenPasses(t *testing.T) {
	p := chain(t, ir.Sigmoid, ir.Xent, 20, 9, 4)
	c, err := compile(p, kernels.Optimizer{Name: "sgd"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(s *schedule)
		want   string
	}{
		"removes":  {func(s *schedule) { s.kernels = s.kernels[1:] }, "is read before it is written"},
		"reorders": {func(s *schedule) { s.kernels[0], s.kernels[1] = s.kernels[1], s.kernels[0] }, "is read before it is written"},
		"repeats":  {func(s *schedule) { s.kernels = append(s.kernels, s.kernels[0]) }, "is written twice"},
		"forgets":  {func(s *schedule) { s.kernels = s.kernels[:1] }, "is wanted and not written"},
		"goes ahead": {func(s *schedule) {
			appendUpdates.run(s)
			last := len(s.kernels) - 1
			s.kernels = slices.Insert(s.kernels[:last], 0, kernel(update{optimizer: s.optimizer, w: p.Params[0].Value, grad: p.Input, param: 0}))
		}, "is read after its update"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.schedule(p.Ops, []ir.ID{p.Loss}, selectKernels, pass{"broken", test.change})
			if err == nil || !strings.Contains(err.Error(), `the pass "broken"`) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("found %v, want %q", err, test.want)
			}
		})
	}
}

// TestUnfused trains by one kernel per operation and kernels.Update.
func TestUnfused(t *testing.T) {
	for name, p := range map[string]*ir.Program{
		"chain":     chain(t, ir.Sigmoid, ir.Xent, 20, 9, 8, 4),
		"quadratic": chain(t, ir.Tanh, ir.Quad, 20, 9, 4),
		"skip":      skip(t, ir.Softplus, 12, 4),
		"penalised": penalised(t, 20, 9, 4),
		"two heads": twoHeads(t, 12, 9, 4),
	} {
		for _, density := range []float64{sparseData, mixedData, denseData} {
			t.Run(fmt.Sprintf("%s/density=%v", name, density), func(t *testing.T) {
				v, d := variant(p, 10, 0.01), data(p.Features(), p.Classes(), 20, density)
				m, want := prepare(t, v, d, available()[0]), newReference(v, d)
				s := &schedule{program: p, optimizer: v.Optimizer, layout: m.plan.layout, ops: p.Ops}
				for _, pass := range []pass{selectKernels, appendUpdates, expandInput} {
					pass.run(s)
				}
				m.plan.step = s.kernels
				if n := len(p.Ops) + len(p.Params); len(m.plan.lines()) < n {
					t.Errorf("%d kernels for %d operations and updates", len(s.kernels), n)
				}
				m.allocate(m.plan.step, m.capacity)
				m.step = m.bind(m.plan.step)
				got, err := m.Step(numbers(10), nil, 0.5, 0)
				if err != nil {
					t.Fatal(err)
				}
				if want := want.step(numbers(10), 0.5); !near(got, want) {
					t.Errorf("loss %v, want %v", got, want)
				}
				params, _ := m.Params()
				for i, q := range p.Params {
					differ(t, p.Value(q.Value).Name, params[i], want.net.Values[q.Value])
				}
			})
		}
	}
}

func TestExplain(t *testing.T) {
	p := chain(t, ir.Sigmoid, ir.Xent, 8, 3)
	lines, err := New().Explain(p, kernels.Optimizer{Name: "sgd"})
	if err != nil || len(lines) != 6 || !strings.HasPrefix(lines[0], "routines: ") || !strings.HasPrefix(lines[1], "of panels that are at most half in use: ") {
		t.Errorf("lines %q, error %v", lines, err)
	}
	if lines, err := New().Explain(chain(t, ir.Sigmoid, ir.Xent, 8, 16), kernels.Optimizer{Name: "sgd"}); err != nil || len(lines) != 5 {
		t.Errorf("without half panels, lines %q, error %v", lines, err)
	}
	p.Forward = 0
	if _, err := New().Explain(p, kernels.Optimizer{Name: "sgd"}); err == nil {
		t.Error("a program that does not verify is explained")
	}
}

// TestLossDependence: a network that reads its own loss is refused.
func TestLossDependence(t *testing.T) {
	b := newBuilder(1, 1)
	w := b.weight(1, 1)
	b.loss(ir.Xent, b.dense(b.p.Input, w), 1)
	loss := b.p.Loss
	z := b.dense(b.p.Input, b.add(w, loss, 1))
	b.p.Output, b.p.Forward = z, len(b.p.Ops)
	b.p.Params[0].Grad = b.op(ir.DWeight, "dW", b.shape(w), 0, 0, z, b.p.Input)
	if err := b.p.Verify(); err != nil {
		t.Fatal(err)
	}
	if _, err := compile(b.p, kernels.Optimizer{Name: "sgd"}); err == nil || !strings.Contains(err.Error(), "depends on the loss") {
		t.Errorf("error %v", err)
	}
}
