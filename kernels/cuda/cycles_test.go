//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"vanilla/graph"
	"vanilla/graph/ir"
	"vanilla/internal/conformance"
	"vanilla/kernels"
)

// A network whose images are changed by more than shifts is trained by a streaming
// kernel, and takes what the model has for that.
func TestCyclesOfAugmented(t *testing.T) {
	resident := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10), 32)
	moved, turned, noisy := resident, resident, resident
	moved.Shift, turned.Rotate, noisy.NoiseShare = 1, 10, 0.1
	e := newPrecise(t, FP32).(*executor)
	for _, c := range []struct {
		v     kernels.Variant
		class class
	}{
		{resident, class{units: narrowUnits, precision: FP32}}, {moved, class{units: narrowUnits, precision: FP32}},
		{turned, class{precision: FP32, stream: true}}, {noisy, class{precision: FP32, stream: true}},
	} {
		q := prepare(t, e, conformance.Data(c.v.Program(), 40), c.v).(*population)
		if got := q.nets[0].class; got != c.class {
			t.Errorf("%+v, %g share of noise: its class is %s, want %s", c.v.Augment, c.v.NoiseShare, got, c.class)
		}
		alone, shared, err := e.Cycles(c.v)
		if want := rowOf(t, c.class, "784-16-16-10 sgd 32"); err != nil || alone != want || shared != want {
			t.Errorf("%+v, %g share of noise: %g cycles alone, %g shared, %v; the model has %g for %s", c.v.Augment, c.v.NoiseShare, alone, shared, err, want, c.class)
		}
	}
}

// rowOf is what the model's table has for a network, an optimizer and a batch.
func rowOf(t *testing.T, c class, of string) float64 {
	t.Helper()
	for line := range strings.Lines(modelled) {
		f := strings.Fields(line)
		if len(f) < 7 || strings.Join(f[:4], " ") != c.kernel()+" "+of {
			continue
		}
		cycles, err := strconv.ParseFloat(f[6], 64)
		if err != nil {
			t.Fatal(err)
		}
		return cycles
	}
	t.Fatalf("the table has no %s %s", c.kernel(), of)
	return 0
}

// A streamed network takes what the model has for it, one that the model does not have
// something between those beside it, and a larger one more than any.
func TestCyclesOfStreamed(t *testing.T) {
	for _, precision := range []string{BF16, FP32} {
		e := newStreaming(t, precision, hopper.SharedPerBlock).(*executor)
		of := func(batch int, o kernels.Optimizer, widths ...int) float64 {
			v := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, widths...), batch)
			v.Optimizer = o
			alone, shared, err := e.Cycles(v)
			if err != nil || alone != shared {
				t.Fatalf("%v, batch %d: %g cycles alone, %g shared, %v", widths, batch, alone, shared, err)
			}
			return alone
		}
		sgd, momentum, adam := kernels.Optimizer{Name: "sgd"}, kernels.Optimizer{Name: "momentum", Momentum: 0.9}, kernels.Optimizer{Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
		for _, batch := range []int{32, 128} {
			var last float64
			for _, c := range []struct {
				widths []int
				row    bool
			}{
				{[]int{20, 7, 4}, false}, {[]int{784, 16, 16, 10}, true}, {[]int{784, 24, 10}, false}, {[]int{784, 32, 16, 10}, true}, {[]int{784, 100, 10}, false},
				{[]int{784, 128, 64, 10}, true}, {[]int{784, 300, 100, 10}, false}, {[]int{784, 800, 500, 10}, false},
			} {
				least, middle, most := of(batch, sgd, c.widths...), of(batch, momentum, c.widths...), of(batch, adam, c.widths...)
				if least < last || middle < least || most < middle {
					t.Errorf("%s, %v, batch %d: %g cycles with SGD, %g with momentum, %g with Adam, %g of the network before it", precision, c.widths, batch, least, middle, most, last)
				}
				last = least
				for slots, got := range map[int]float64{0: least, 2: most} {
					if !c.row {
						continue
					}
					row := strings.Trim(strings.ReplaceAll(fmt.Sprint(c.widths), " ", "-"), "[]") + []string{" sgd ", "", " adam "}[slots] + strconv.Itoa(batch)
					if want := rowOf(t, class{precision: precision, slots: slots, stream: true}, row); got != want {
						t.Errorf("%s, %s: %g cycles, the model has %g", precision, row, got, want)
					}
				}
			}
		}
		if ten, all := of(10, sgd, 784, 128, 64, 10), of(32, sgd, 784, 128, 64, 10); ten != all {
			t.Errorf("%s: %g cycles for a batch of 10, %g for one of 32, which is as many products", precision, ten, all)
		}
	}
}

// A resident network takes what the model has for three layers, and more with each layer,
// however many units they have. Launches are dealt by that. All kernels have rows.
func TestCyclesOfResident(t *testing.T) {
	for _, precision := range []string{BF16, FP32} {
		for _, c := range residentClasses(precision) {
			if _, cycles, err := modelledPart(c.kernel()); err != nil || !(cycles > 0) {
				t.Errorf("%s: %g cycles, %v", c, cycles, err)
			}
		}
		e := newPrecise(t, precision).(*executor)
		want := rowOf(t, class{units: narrowUnits, precision: precision}, "784-16-16-10 sgd 32")
		for _, c := range []struct {
			widths []int
			share  float64
		}{
			{[]int{784, 10}, 0.6}, {[]int{784, 8, 10}, 0.8}, {[]int{784, 16, 16, 10}, 1}, {[]int{784, 8, 8, 10}, 1}, {[]int{784, 16, 16, 16, 16, 10}, 1.4},
		} {
			v := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, c.widths...), 32)
			v.Optimizer = kernels.Optimizer{Name: "sgd"}
			alone, shared, err := e.Cycles(v)
			if err != nil || math.Abs(shared-c.share*want) > 1e-9*want {
				t.Errorf("%s, %v: %g cycles, %v, want %g of the %g for three layers", precision, c.widths, shared, err, c.share, want)
			}
			q := prepare(t, e, conformance.Data(v.Program(), 41), v).(*population)
			if got := q.nets[0].work * genericAlone; math.Abs(got-alone) > 1e-9*alone {
				t.Errorf("%s, %v: launches are dealt by %g cycles a step, want %g", precision, c.widths, got, alone)
			}
		}
	}
}

// What a step of the generic kernel is reckoned with is what the table has for it.
func TestCyclesOfGeneric(t *testing.T) {
	v := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10), 32)
	for line := range strings.Lines(modelled) {
		f := strings.Fields(line)
		if len(f) < 7 || strings.Join(f[:4], " ") != "kernel_network 784-16-16-10 sgd 32" {
			continue
		}
		want, err := strconv.ParseFloat(f[6], 64)
		if got := genericShared * stepWork(&v, 32); err != nil || math.Abs(got-want) > 0.05*want || !(genericAlone > genericShared) {
			t.Errorf("%g cycles for a step, %s in the table, %v", got, f[6], err)
		}
		return
	}
	t.Error("the table has no step of the generic kernel")
}

// A spread network takes what the model has for it; one that the model does not have as
// long for a tile, and momentum something between SGD and Adam.
func TestCyclesOfSpread(t *testing.T) {
	for _, precision := range []string{BF16, FP32} {
		e := newStreaming(t, precision, hopper.SharedPerBlock).(*executor)
		for _, batch := range []int{32, 128} {
			var last float64
			for _, widths := range [][]int{{784, 2200, 1500, 10}, {784, 2500, 2000, 1500, 1000, 500, 10}, {784, 5000, 5000, 5000, 10}} {
				var all []float64
				for slots, o := range []kernels.Optimizer{{Name: "sgd"}, {Name: "momentum", Momentum: 0.9}, {Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}} {
					v := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, widths...), batch)
					v.Optimizer = o
					alone, shared, err := e.Cycles(v)
					if err != nil || shared != alone*float64(e.gpus[0].device.SMs) {
						t.Fatalf("%s, %v, batch %d: %g cycles alone, %g shared, %v", precision, widths, batch, alone, shared, err)
					}
					all = append(all, alone)
					if len(widths) != 7 || slots == 1 {
						continue
					}
					c := class{precision: precision, slots: slots, stream: true, spread: true}
					want := rowOf(t, c, fmt.Sprintf("784-2500-2000-1500-1000-500-10 %s %d", o.Name, batch))
					if math.Abs(alone-want) > 1 { // the table's are whole
						t.Errorf("%s, batch %d: %g cycles, the model has %g", c, batch, alone, want)
					}
				}
				if all[0] < last || all[1] < all[0] || all[2] < all[1] {
					t.Errorf("%s, %v, batch %d: %g cycles, of the network before it %g", precision, widths, batch, all, last)
				}
				last = all[0]
			}
		}
	}
}
