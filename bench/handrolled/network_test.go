package handrolled

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// unitRoundoff is the largest relative error of one float32 operation.
const unitRoundoff = 1.0 / (1 << 24)

// randomNetwork has weights and biases uniform in [-1, 1).
func randomNetwork(r *rand.Rand, widths ...int) *Network {
	n := New(widths)
	for _, parameters := range slices.Concat(n.Weights, n.Biases) {
		for i := range parameters {
			parameters[i] = 2*r.Float32() - 1
		}
	}
	return n
}

// randomSamples fits a network of the given widths.
func randomSamples(r *rand.Rand, count int, widths ...int) (pixels, labels []byte) {
	pixels, labels = make([]byte, count*widths[0]), make([]byte, count)
	for i := range pixels {
		pixels[i] = byte(r.IntN(256))
	}
	for i := range labels {
		labels[i] = byte(r.IntN(widths[len(widths)-1]))
	}
	return pixels, labels
}

func clone(n *Network) *Network {
	c := New(n.Widths)
	for l := range n.Weights {
		copy(c.Weights[l], n.Weights[l])
		copy(c.Biases[l], n.Biases[l])
	}
	return c
}

func indices(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}

// meanLoss is the definition of the loss in float64, taken from the formulas and not from the code.
func meanLoss(widths []int, weights, biases [][]float64, pixels, labels []byte) float64 {
	total := 0.0
	for s, label := range labels {
		a := make([]float64, widths[0])
		for i := range a {
			a[i] = float64(pixels[s*widths[0]+i]) / 255
		}
		for l := range weights {
			z := slices.Clone(biases[l])
			for o := range z {
				for i := range a {
					z[o] += weights[l][o*len(a)+i] * a[i]
				}
				if l < len(weights)-1 {
					z[o] = 1 / (1 + math.Exp(-z[o]))
				}
			}
			a = z
		}
		sum := 0.0
		for _, z := range a {
			sum += math.Exp(z)
		}
		total += math.Log(sum) - a[label]
	}
	return total / float64(len(labels))
}

func toFloat64(matrices [][]float32) [][]float64 {
	var wide [][]float64
	for _, matrix := range matrices {
		var values []float64
		for _, v := range matrix {
			values = append(values, float64(v))
		}
		wide = append(wide, values)
	}
	return wide
}

// The tolerance of TestGradient, for 6-5-4-3 and 7 samples. A value on its way to an entry of the gradient is rounded, at
// each of 3 layers, at most 6+1 times in the sum of z, 6 times in its products and σ, and as often on the way back; then in
// the softmax and in the sum over the batch: under 100 roundings in all. Parameters are within [-1, 1], so no partial sum
// exceeds 7, and since σ' <= 1/4 an error grows at most by 6/4 through each of 2 hidden layers up and down. The finite
// differences add h²/6 times a third derivative, and a float64 rounding over h: both below 1e-9, nothing beside it.
const (
	roundings         = 100
	largestSum        = 7
	growth            = 1.5 * 1.5 * 1.5 * 1.5
	gradientTolerance = roundings * unitRoundoff * largestSum * growth
	differenceStep    = 1e-5
)

func TestGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	widths := []int{6, 5, 4, 3}
	n := randomNetwork(r, widths...)
	pixels, labels := randomSamples(r, 7, widths...)
	weights, biases := toFloat64(n.Weights), toFloat64(n.Biases)

	n.Step(pixels, labels, []int{2, 3, 3}, 0, 0) // of which nothing may stay behind
	loss := n.Step(pixels, labels, indices(7), 0, 0)
	if want := meanLoss(widths, weights, biases, pixels, labels); math.Abs(float64(loss)-want) > gradientTolerance {
		t.Errorf("loss %v, want %v", loss, want)
	}

	check := func(name string, l int, sums []float32, parameters []float64) {
		largest := 0.0
		for i, sum := range sums {
			middle := parameters[i]
			parameters[i] = middle + differenceStep
			above := meanLoss(widths, weights, biases, pixels, labels)
			parameters[i] = middle - differenceStep
			below := meanLoss(widths, weights, biases, pixels, labels)
			parameters[i] = middle

			got, want := float64(sum)/7, (above-below)/(2*differenceStep)
			if !(math.Abs(got-want) <= gradientTolerance) {
				t.Errorf("%s[%d][%d] = %v, finite differences %v", name, l, i, got, want)
			}
			largest = max(largest, math.Abs(want))
		}
		if largest < 20*gradientTolerance {
			t.Errorf("%s[%d] is at most %v, too small to tell from a gradient of zero", name, l, largest)
		}
	}
	for l := range weights {
		check("dW", l, n.dWeights[l], weights[l])
		check("db", l, n.dBiases[l], biases[l])
	}
}

// TestStep checks the update from the gradient, term by term in the order in which the documentation writes it.
func TestStep(t *testing.T) {
	const lr, decay = 0.5, 0.25 // powers of two: what they multiply is not rounded
	r := rand.New(rand.NewPCG(2, 2))
	n := randomNetwork(r, 4, 3, 2)
	pixels, labels := randomSamples(r, 4, 4, 3, 2)
	before := clone(n)
	n.Step(pixels, labels, indices(4), lr, decay)
	const tolerance = 4 * unitRoundoff // the rounding of one sum, two products and one difference, all below 2
	for l := range n.Weights {
		for i, w := range before.Weights[l] {
			want := float64(w) - lr*(float64(n.dWeights[l][i])/4+decay*float64(w))
			if got := float64(n.Weights[l][i]); !(math.Abs(got-want) <= tolerance) {
				t.Errorf("W[%d][%d] = %v, want %v", l, i, got, want)
			}
		}
		for o, b := range before.Biases[l] {
			want := float64(b) - lr*float64(n.dBiases[l][o])/4
			if got := float64(n.Biases[l][o]); !(math.Abs(got-want) <= tolerance) {
				t.Errorf("b[%d][%d] = %v, want %v", l, o, got, want)
			}
		}
	}
}

func TestDecayActsOnWeightsOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	plain := randomNetwork(r, 4, 3, 2)
	pixels, labels := randomSamples(r, 4, 4, 3, 2)
	decayed := clone(plain)
	plain.Step(pixels, labels, indices(4), 0.5, 0)
	decayed.Step(pixels, labels, indices(4), 0.5, 0.5)
	for l := range plain.Weights {
		if slices.Equal(plain.Weights[l], decayed.Weights[l]) {
			t.Errorf("decay left W[%d] alone", l)
		}
		if !slices.Equal(plain.Biases[l], decayed.Biases[l]) {
			t.Errorf("decay changed b[%d] from %v to %v", l, plain.Biases[l], decayed.Biases[l])
		}
	}
}

func TestStepOfSizeZeroChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	n := randomNetwork(r, 4, 3, 2)
	pixels, labels := randomSamples(r, 4, 4, 3, 2)
	before := clone(n)
	if loss := n.Step(pixels, labels, indices(4), 0, 0.1); !(loss > 0) {
		t.Errorf("loss %v, want more than 0", loss)
	}
	wantSame(t, n, before)
}

// TestEpoch compares an epoch of batches of 2, 2 and 1 with the same steps taken one by one.
func TestEpoch(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	n := randomNetwork(r, 4, 3, 2)
	pixels, labels := randomSamples(r, 5, 4, 3, 2)
	byHand := clone(n)
	lr := func(step int) float32 { return 1 / float32(1+step) }
	mean := n.Epoch(pixels, labels, []int{3, 0, 4, 1, 2}, 2, lr, 0.01)

	want := 0.0
	for step, batch := range [][]int{{3, 0}, {4, 1}, {2}} {
		want += float64(byHand.Step(pixels, labels, batch, lr(step), 0.01)) / 3
	}
	const tolerance = 16.0 / (1 << 53) // both sums round fewer than 8 times, numbers below 10 divided by 3
	if !(math.Abs(mean-want) <= tolerance) {
		t.Errorf("mean loss %v, want %v", mean, want)
	}
	wantSame(t, n, byHand)
}

// TestShortBatchHasItsOwnMean: the mean over one sample and over twice that sample are the same number.
func TestShortBatchHasItsOwnMean(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	once := randomNetwork(r, 4, 3, 2)
	pixels, labels := randomSamples(r, 2, 4, 3, 2)
	twice := clone(once)
	a := once.Step(pixels, labels, []int{1}, 0.5, 0.1)
	b := twice.Step(pixels, labels, []int{1, 1}, 0.5, 0.1)
	if a != b {
		t.Errorf("loss %v over one sample, %v over it twice", a, b)
	}
	wantSame(t, twice, once)
}

func wantSame(t *testing.T, got, want *Network) {
	t.Helper()
	for l := range want.Weights {
		if !slices.Equal(got.Weights[l], want.Weights[l]) {
			t.Errorf("W[%d] = %v, want %v", l, got.Weights[l], want.Weights[l])
		}
		if !slices.Equal(got.Biases[l], want.Biases[l]) {
			t.Errorf("b[%d] = %v, want %v", l, got.Biases[l], want.Biases[l])
		}
	}
}

// TestLearns has the network learn exclusive or, which it cannot without its hidden layer.
func TestLearns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	n := randomNetwork(r, 2, 8, 2)
	pixels, labels := []byte{0, 0, 0, 255, 255, 0, 255, 255}, []byte{0, 1, 1, 0}
	first := n.Step(pixels, labels, indices(4), 0, 0)
	var last float64
	for range 2000 {
		last = n.Epoch(pixels, labels, r.Perm(4), 2, func(int) float32 { return 1 }, 0)
	}
	if accuracy := n.Accuracy(pixels, labels); accuracy != 1 || !(last < 0.01) {
		t.Errorf("accuracy %v, loss from %v to %v; want 1 and less than 0.01", accuracy, first, last)
	}
}

func TestLossOfLargeLogits(t *testing.T) {
	n := New([]int{1, 3})
	copy(n.Biases[0], []float32{1000, -1000, 999})
	pixels := []byte{0, 0}
	// Four roundings in either case: exp, its sum, log, and the sum of the loss, which is the largest of them.
	want := 2000 + math.Log(1+math.Exp(-1))
	if loss := n.Step(pixels, []byte{0, 1}, []int{1}, 0, 0); !(math.Abs(float64(loss)-want) <= 4*unitRoundoff*want) {
		t.Errorf("loss %v, want %v", loss, want)
	}
	n = New([]int{1, 3})
	want = math.Log(3)
	if loss := n.Step(pixels, []byte{2, 0}, []int{0, 1}, 0, 0); !(math.Abs(float64(loss)-want) <= 4*unitRoundoff*want) {
		t.Errorf("loss %v where all classes are as likely, want log 3", loss)
	}
}

func TestPredict(t *testing.T) {
	n := New([]int{1, 3})
	copy(n.Weights[0], []float32{0, 1, 1})
	copy(n.Biases[0], []float32{0.5, 0, 0})
	for pixel, want := range map[byte]int{0: 0, 127: 0, 128: 1, 255: 1} { // 1 and 2 are always as likely
		if got := n.Predict([]byte{pixel}); got != want {
			t.Errorf("pixel %d: class %d, want %d", pixel, got, want)
		}
	}
	if got := n.Accuracy([]byte{0, 127, 128, 255}, []byte{0, 1, 1, 2}); got != 0.5 {
		t.Errorf("accuracy %v, want 0.5", got)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	n := randomNetwork(r, 4, 3, 2)
	pixels, labels := randomSamples(r, 4, 4, 3, 2)
	batch := indices(4)
	if allocations := testing.AllocsPerRun(10, func() { n.Step(pixels, labels, batch, 0.1, 0.1) }); allocations != 0 {
		t.Errorf("%v allocations in a step, want 0", allocations)
	}
}

// BenchmarkStep trains on batches of random images: the loops are dense, so the pixels do not matter.
func BenchmarkStep(b *testing.B) {
	b.Run("arch=784-16-16-10/batch=32", func(b *testing.B) {
		const samples, batchSize = 4096, 32
		r := rand.New(rand.NewPCG(9, 9))
		widths := []int{784, 16, 16, 10}
		n := New(widths)
		for l, weights := range n.Weights {
			for i := range weights {
				weights[i] = float32(r.NormFloat64() / math.Sqrt(float64(widths[l])))
			}
		}
		pixels, labels := randomSamples(r, samples, widths...)
		order := r.Perm(samples)
		step := 0
		for b.Loop() {
			at := step * batchSize % samples
			n.Step(pixels, labels, order[at:at+batchSize], 0.1, 1e-4)
			step++
		}
		b.ReportMetric(float64(step*batchSize)/b.Elapsed().Seconds(), "samples/s")
	})
}
