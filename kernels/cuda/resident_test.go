//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
)

// residentShapes are chains that resident kernels take: every activation and
// loss, one unit and sixteen, one layer and five, inputs of 1 to 784; and with wider
// layers first, last and between, whose halves are there or not.
func residentShapes(t *testing.T) []*ir.Program {
	t.Helper()
	var all []*ir.Program
	shapes := [][]int{
		{784, 16, 16, 10}, {784, 10}, {20, 7, 4}, {100, 9, 5, 16, 3}, {1, 3, 2}, {49, 1, 1, 4}, {777, 13, 10},
		{64, 16, 16, 16, 16, 16}, {16, 16, 16}, {113, 2, 15, 9},
		{784, 32, 16, 10}, {49, 26}, {20, 17, 32, 3}, {33, 5, 24, 32, 2}, {777, 31, 10},
	}
	for i, widths := range shapes {
		activations := graph.Activations()
		all = append(all, chain(t, activations[i%len(activations)], []graph.Loss{graph.CrossEntropy, graph.Quadratic}[i%2], widths...))
	}
	return all
}

// takes fails unless a network's class is a resident one.
func takes(t *testing.T, e kernels.Executor, v kernels.Variant, examples int) class {
	t.Helper()
	c, _, why, err := e.(*executor).classOf(wanted{program: v.Program(), optimizer: v.Optimizer, batch: v.Batch, shift: v.Shift, examples: examples})
	if why != nil || err != nil {
		t.Fatalf("%s, batch %d: the generic kernel, because %v, %v", v.Program().Name, v.Batch, why, err)
	}
	return c
}

// Every class, with every shape, activation, loss and batch, in every order of a
// block's threads: gradients as in float64, training as the reference's.
func TestResidentShapes(t *testing.T) {
	orders := []string{"forward", "reverse", "shuffled"}
	for k, order := range orders {
		t.Setenv("VANILLA_STANDIN_ORDER", order)
		e := newPrecise(t, FP32)
		seen := map[class]bool{}
		for i, p := range residentShapes(t) {
			if (i+k)%len(orders) != 0 && testing.Short() {
				continue
			}
			data := conformance.Data(p, 70)
			for n, batch := range residentBatches(k+i, 1, 10, 32, 50, 67) {
				v := conformance.Variant(p, batch)
				takes(t, e, v, data.Train.Len())
				if err := conformance.Gradients(e, v, p); err != nil {
					t.Errorf("%s, %s, batch %d: %v", order, p.Name, batch, err)
				}
				v.Optimizer = someOptimizer(t, n+i+k, &v)
				seen[takes(t, e, v, data.Train.Len())] = true
				if batch > 1 {
					sameEpochs(t, e, data, v, 1, conformance.TrajectoryTolerance)
				}
			}
		}
		if want := len(residentClasses(FP32)); len(seen) != want && !testing.Short() {
			t.Errorf("%s: %d classes were tried, want %d: %v", order, len(seen), want, seen)
		}
	}
}

// residentBatches are those of the sizes that are tried with one program and order of
// threads, two of three: the others are, with that program, in other orders.
func residentBatches(turn int, sizes ...int) []int {
	var some []int
	for n, size := range sizes {
		if (n+turn)%3 != 0 {
			some = append(some, size)
		}
	}
	return some
}

// bf16 is the float64 reference that rounds where the kernels do. Roundings that
// fall on the other side, one in 2^13, each 2^-8 of a factor, leave differences of
// some 4e-5 of the movement.
const bf16Tolerance = 1e-3

func TestResidentBF16(t *testing.T) {
	for k, order := range []string{"forward", "reverse", "shuffled"} {
		t.Setenv("VANILLA_STANDIN_ORDER", order)
		e := newPrecise(t, BF16)
		seen := map[class]bool{}
		for i, p := range residentShapes(t) {
			data := conformance.Data(p, 71)
			for n, batch := range residentBatches(k+i, 10, 32, 50) {
				v := conformance.Variant(p, batch)
				v.Optimizer = someOptimizer(t, n+i+k, &v)
				c := takes(t, e, v, data.Train.Len())
				seen[c] = true
				sameAsRounded(t, e, data, v, c, 4, fmt.Sprintf("%s, %s, %s, batch %d", order, p.Name, v.Optimizer.Name, batch))
			}
		}
		if want := len(residentClasses(BF16)); len(seen) != want {
			t.Errorf("%s: %d classes were tried, want %d: %v", order, len(seen), want, seen)
		}
	}
}

// someOptimizer is one of the optimizers, with decay, and what conformance changes for
// Adam.
func someOptimizer(t *testing.T, n int, v *kernels.Variant) kernels.Optimizer {
	t.Helper()
	names := kernels.OptimizerNames()
	o, err := kernels.NewOptimizer(names[n%len(names)])
	if err != nil {
		t.Fatal(err)
	}
	o.WeightDecay = 0.01
	if o.Slots() == 2 {
		v.Schedule.LR, o.Epsilon = 0.002, 1e-3
	}
	return o
}

// sameAsRounded trains steps by a class's kernel and by a reference that rounds where the class does, and compares the
// parameters, as root mean squares of what they moved, and the loss.
func sameAsRounded(t *testing.T, e kernels.Executor, data kernels.Data, v kernels.Variant, c class, steps int, what string) {
	t.Helper()
	before := conformance.Randomize(v)
	got := trainFrom(t, e, data, v, before, steps)
	want, losses := roundedReference(t, v, data, before, steps, c)
	moved, wrong := 0.0, 0.0
	for a := range want {
		for j := range want[a] {
			d, m := float64(got.Params[a][j])-want[a][j], want[a][j]-float64(before.Params[a][j])
			wrong, moved = wrong+d*d, moved+m*m
		}
	}
	if off := math.Sqrt(wrong / moved); !(off <= bf16Tolerance) {
		t.Errorf("%s: parameters are off by %.2g of what they moved", what, off)
	}
	if d := math.Abs(got.LossSum - losses); !(d <= bf16Tolerance*losses) && v.StepsPerEpoch(data.Train.Len()) > steps {
		t.Errorf("%s: losses add up to %g, want %g", what, got.LossSum, losses)
	}
}

// The products of fp32's terms are as close to the product as FP32 says.
func TestThreeTerms(t *testing.T) {
	terms := func(v float32) (parts [3]float64) {
		left := float64(v)
		for i := range parts {
			parts[i] = roundBF16(left)
			left -= parts[i]
		}
		return parts
	}
	random := rand.New(rand.NewPCG(1, 2))
	bound, worst := 2*0x1p-24+0x1p-32, 0.0
	for range 200000 {
		a, b := float32(random.NormFloat64()), float32(random.NormFloat64()*math.Exp2(float64(random.IntN(40)-20)))
		x, y := terms(a), terms(b)
		sum := 0.0
		for j := 2; j >= 0; j-- {
			for i := 2 - j; i >= 0; i-- {
				sum += x[i] * y[j]
			}
		}
		want := float64(a) * float64(b)
		off := math.Abs(sum-want) / math.Abs(want)
		if worst = max(worst, off); off > bound {
			t.Fatalf("%g·%g comes to %g, off by %g of it, at most %g is allowed", a, b, sum, off, bound)
		}
	}
	if worst < bound/16 {
		t.Errorf("the worst product is off by %g, the bound of %g says little", worst, bound)
	}
}

// trainFrom is the state after so many steps from another.
func trainFrom(t *testing.T, e kernels.Executor, data kernels.Data, v kernels.Variant, from kernels.State, steps int) kernels.State {
	t.Helper()
	p := prepare(t, e, data, v)
	if err := p.Restore(0, from); err != nil {
		t.Fatal(err)
	}
	if err := p.Advance(t.Context(), []int{steps}, nil); err != nil {
		t.Fatal(err)
	}
	state := states(t, p, 1)[0]
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return state
}

// roundBF16 rounds to 8 bits, to even.
func roundBF16(v float64) float64 {
	b := math.Float32bits(float32(v))
	return float64(math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff))
}

// roundedReference trains in float64 with the roundings of class c's kernel:
// weights in products, outputs, and deltas, those of the first layer with the
// factor that they carry. It returns the parameters and the sum of losses.
func roundedReference(t *testing.T, v kernels.Variant, data kernels.Data, from kernels.State, steps int, c class) ([][]float64, float64) {
	t.Helper()
	chain, err := matchDense(v.Program())
	if err != nil {
		t.Fatal(err)
	}
	params := make([][]float64, len(from.Params))
	slots := make([][][]float64, len(from.Params))
	place := map[int64]int{}
	at := int64(0)
	for a, p := range from.Params {
		place[at] = a
		at += int64(len(p))
		for _, w := range p {
			params[a] = append(params[a], float64(w))
		}
		for range v.Optimizer.Slots() {
			slots[a] = append(slots[a], make([]float64, len(p)))
		}
	}
	layers := chain.layers
	top := len(layers) - 1
	n := data.Train.Len()
	perEpoch := v.StepsPerEpoch(n)
	total := 0.0
	for step := range steps {
		order := kernels.NewOrder(v.OrderSeed, step/perEpoch, n)
		begin := step % perEpoch * v.Batch
		rows := make([]int32, min(v.Batch, n-begin))
		order.Fill(rows, begin)
		rate := float64(v.Schedule.At(step, perEpoch, v.Epochs))
		carried := 64.0 / 255
		switch {
		case c.stream:
			carried = 1
		case c.slots == 0 && !c.parts:
			carried *= -rate
		}
		gradients := make([][]float64, len(params))
		for a := range params {
			gradients[a] = make([]float64, len(params[a]))
		}
		loss := 0.0
		for _, row := range rows {
			in := make([][]float64, len(layers)+1)
			z := make([][]float64, len(layers))
			for _, b := range data.Train.Row(int(row)) {
				in[0] = append(in[0], float64(b)/255)
			}
			for l, layer := range layers {
				w, b := params[place[layer.Weight]], params[place[layer.Bias]]
				for o := range int(layer.Out) {
					sum := b[o]
					for i := range int(layer.In) {
						sum += roundBF16(w[o*int(layer.In)+i]) * in[l][i]
					}
					z[l] = append(z[l], sum)
					h := ir.Activation(layer.Activation).Value(sum)
					if l < top {
						h = roundBF16(h)
					}
					in[l+1] = append(in[l+1], h)
				}
			}
			label := int(data.Train.Labels[row])
			delta := make([]float64, layers[top].Out)
			if chain.loss == crossEntropyLoss {
				most, sum := math.Inf(-1), 0.0
				for _, v := range z[top] {
					most = max(most, v)
				}
				for _, v := range z[top] {
					sum += math.Exp(v - most)
				}
				loss += math.Log(sum) + most - z[top][label]
				for o, v := range z[top] {
					delta[o] = math.Exp(v-most) / sum
				}
				delta[label]--
			} else {
				for o, a := range in[top+1] {
					target := 0.0
					if o == label {
						target = 1
					}
					loss += (a - target) * (a - target)
					delta[o] = 2 * (a - target) * ir.Activation(layers[top].Activation).Slope(z[top][o])
				}
			}
			for o := range delta {
				delta[o] *= float64(chain.scale) / float64(len(rows))
			}
			for l := top; l >= 0; l-- {
				for o := range delta {
					if l == 0 {
						delta[o] = roundBF16(delta[o]*carried) / carried
					} else {
						delta[o] = roundBF16(delta[o])
					}
				}
				layer := layers[l]
				w := params[place[layer.Weight]]
				dw, db := gradients[place[layer.Weight]], gradients[place[layer.Bias]]
				below := make([]float64, layer.In)
				for o, d := range delta {
					db[o] += d
					for i := range below {
						dw[o*int(layer.In)+i] += d * in[l][i]
						below[i] += d * roundBF16(w[o*int(layer.In)+i])
					}
				}
				if l > 0 {
					for i := range below {
						below[i] *= ir.Activation(layers[l-1].Activation).Slope(z[l-1][i])
					}
				}
				delta = below
			}
		}
		total += loss * float64(chain.scale) / float64(len(rows))
		for a, q := range v.Program().Params {
			kernels.Update(v.Optimizer, rate, step, q.Bias, params[a], gradients[a], slots[a])
		}
	}
	return params, total
}

// Cutting training into slices anywhere, and what else the launch holds, changes
// no bit: of short last batches, of batches in parts, of images that move.
func TestResidentSlices(t *testing.T) {
	for _, precision := range []string{FP32, BF16} {
		e := newPrecise(t, precision)
		var variants []kernels.Variant
		narrow, wide := chain(t, ir.Sigmoid, graph.CrossEntropy, 49, 16, 10), chain(t, ir.Sigmoid, graph.CrossEntropy, 49, 20, 10)
		for i, name := range kernels.OptimizerNames() {
			for k, batch := range []int{10, 32, 45, 32, 45} {
				v := conformance.Variant([]*ir.Program{narrow, wide}[k/3], batch)
				var err error
				if v.Optimizer, err = kernels.NewOptimizer(name); err != nil {
					t.Fatal(err)
				}
				v.Optimizer.WeightDecay, v.Shift = 0.01, i%3
				v.Schedule.LR = 0.02
				takes(t, e, v, 67)
				variants = append(variants, v)
			}
		}
		data := conformance.Data(narrow, 72)
		until := make([]int, len(variants))
		for i := range until {
			until[i] = 20
		}
		want := train(t, e, data, variants, until)
		q := prepare(t, e, data, variants...)
		for step := 0; step < 20; step += 3 {
			for i := range until {
				until[i] = min(20, step+1+i%3)
			}
			if err := q.Advance(t.Context(), until, nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := range until {
			until[i] = 20
		}
		if err := q.Advance(t.Context(), until, nil); err != nil {
			t.Fatal(err)
		}
		sameStates(t, precision+" in slices", states(t, q, len(variants)), want)
		for i, v := range variants {
			if i%4 != 0 {
				continue
			}
			sameStates(t, precision+" alone", train(t, e, data, []kernels.Variant{v}, []int{20}), want[i:i+1])
		}
	}
}

// A network whose loss is not finite has taken that step and no other, wherever
// the slices end.
func TestResidentDivergence(t *testing.T) {
	for i, precision := range []string{FP32, BF16} {
		for k, batch := range []int{10, 45} {
			e := newPrecise(t, precision)
			p := chain(t, ir.ReLU, graph.Quadratic, 49, 16+(i+k)%2, 10)
			v := conformance.Variant(p, batch)
			v.Schedule = kernels.Schedule{LR: 1e6, Name: "constant"}
			takes(t, e, v, 67)
			data := conformance.Data(p, 73)
			whole := train(t, e, data, []kernels.Variant{v}, []int{50})
			if !whole[0].Diverged || whole[0].Step >= 50 {
				t.Fatalf("%s: it stands at step %d, diverged: %t", precision, whole[0].Step, whole[0].Diverged)
			}
			q := prepare(t, e, data, v)
			for step := 1; step <= 50; step++ {
				if err := q.Advance(t.Context(), []int{step}, nil); err != nil {
					t.Fatal(err)
				}
			}
			got := states(t, q, 1)[0]
			if got.Step != whole[0].Step || !got.Diverged || fmt.Sprint(got.Params) != fmt.Sprint(whole[0].Params) {
				t.Errorf("%s, batch %d: step by step it ends at step %d, diverged: %t, in one go at %d, or with other parameters",
					precision, batch, got.Step, got.Diverged, whole[0].Step)
			}
		}
	}
}

// What the resident kernels take, and why they do not take the rest.
func TestClasses(t *testing.T) {
	onlyStandIn(t)
	t.Setenv("VANILLA_STANDIN_MEMORY", "85899345920")
	e := newPrecise(t, BF16)
	sgd, adam := kernels.Optimizer{Name: "sgd"}, kernels.Optimizer{Name: "adam"}
	narrow := chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10)
	of := func(p *ir.Program, o kernels.Optimizer, batch, shift, examples int) wanted {
		return wanted{program: p, optimizer: o, batch: batch, shift: shift, examples: examples}
	}
	for _, c := range []struct {
		w    wanted
		want string
	}{
		{of(narrow, sgd, 32, 0, 60000), "resident_bf16_0"},
		{of(narrow, adam, 10, 1, 60000), "resident_bf16_2"},
		{of(narrow, adam, 33, 0, 60000), "resident_bf16_2_parts"},
		{of(narrow, sgd, 100, 0, 20), "resident_bf16_0"}, // all 20 are one batch
		{of(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 32, 16, 10), sgd, 32, 0, 60000), "resident32_bf16_0"},
		{of(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 10, 17), adam, 33, 0, 60000), "resident32_bf16_2_parts"},
		{of(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 33, 10), sgd, 32, 0, 60000), "layer 2 has 33 units, at most 32 fit"},
		{of(chain(t, ir.Sigmoid, graph.CrossEntropy, 785, 16, 10), sgd, 32, 0, 60000), "it has 785 inputs, at most 784 fit"},
		{of(chain(t, ir.Sigmoid, graph.CrossEntropy, 9, 2, 2, 2, 2, 2, 2, 2, 2, 2), sgd, 32, 0, 60000), "it has 9 layers, at most 8 fit"},
		{of(chain(t, ir.Sigmoid, graph.CrossEntropy, 9, 16, 16, 16, 16, 16, 16, 16, 10), adam, 33, 0, 60000), "resident_bf16_2_parts"},
		{of(narrow, sgd, 32, 9, 60000), "the images in all places that they are moved to take"},
	} {
		got, f, why, err := e.(*executor).classOf(c.w)
		if text := fmt.Sprint(got, f.why); !strings.Contains(text, c.want) || (f.chain == nil) != got.stream || why != nil || err != nil {
			t.Errorf("%s, batch %d, shift %d: %s, want %s", c.w.program.Name, c.w.batch, c.w.shift, text, c.want)
		}
	}
	nets, err := conformance.Networks()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nets {
		_, err := matchChain(n.Program)
		if byHand := strings.HasPrefix(n.Program.Name, "by hand"); byHand != (err != nil) {
			t.Errorf("%s: %v", n.Program.Name, err)
		}
	}
	t.Setenv("VANILLA_STANDIN_CAPABILITY", "7.5")
	if c, _, why, err := newPrecise(t, FP32).(*executor).classOf(of(narrow, sgd, 32, 0, 100)); c.resident() || why == nil || err != nil {
		t.Errorf("a device of compute capability 7.5 has class %s", c)
	}
}

// A gradient that is not the layer's own keeps a program from being a chain.
func TestMatchChain(t *testing.T) {
	for _, loss := range []graph.Loss{graph.CrossEntropy, graph.Quadratic} {
		p := chain(t, ir.Sigmoid, loss, 20, 7, 5, 4)
		if _, err := matchChain(p); err != nil {
			t.Fatal(err)
		}
		tried := 0
		for i := range p.Ops {
			for change, f := range map[string]func(op *ir.Op){
				"activation": func(op *ir.Op) {
					if op.Act != 0 {
						op.Act = ir.Tanh
					}
				},
				"scale": func(op *ir.Op) { op.Scale *= 2 },
				"argument": func(op *ir.Op) {
					if last := len(op.Args) - 1; i >= p.Forward {
						op.Args[last] = op.Args[0]
					}
				},
			} {
				q := *p
				q.Ops = append([]ir.Op(nil), p.Ops...)
				q.Ops[i].Args = append([]ir.ID(nil), p.Ops[i].Args...)
				f(&q.Ops[i])
				if fmt.Sprint(q.Ops[i]) == fmt.Sprint(p.Ops[i]) {
					continue
				}
				tried++
				if _, err := matchChain(&q); err == nil {
					t.Errorf("%s: another %s of operation %d, %s, is not noticed", p.Name, change, i, p.Ops[i].Code)
				}
			}
		}
		if tried < 12 {
			t.Errorf("%s: %d changes were tried", p.Name, tried)
		}
	}
}
