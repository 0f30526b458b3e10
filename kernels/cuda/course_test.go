package cuda

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
	"unsafe"

	"vanilla/kernels"
)

// scalarsOf is what kernels.Update derives from a step alone: what course.cu must
// compute.
func scalarsOf(o kernels.Optimizer, lr float32, t int) packedScalars {
	_, shrunk := o.Decay(false)
	s := packedScalars{LR: lr, Shrink: 1 - float32(lr*float32(shrunk))}
	if o.Rule() == kernels.Adam {
		share1 := 1 - math.Pow(o.Beta1, float64(t+1))
		share2 := 1 - math.Pow(o.Beta2, float64(t+1))
		s.Rate, s.Root = float32(float64(lr)/share1), float32(math.Sqrt(share2))
	}
	return s
}

func TestCourseSize(t *testing.T) {
	text, err := os.ReadFile("course.cu")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`sizeof\(Course\) == (\d+)`).FindSubmatch(text)
	if m == nil {
		t.Fatal("course.cu does not say how large a Course is")
	}
	if n, _ := strconv.Atoi(string(m[1])); n != int(unsafe.Sizeof(packedCourse{})) {
		t.Errorf("a course has %d bytes here, %d in course.cu", unsafe.Sizeof(packedCourse{}), n)
	}
	m = regexp.MustCompile(`__launch_bounds__\((\d+)\) kernel_epochs`).FindSubmatch(text)
	if m == nil || string(m[1]) != strconv.Itoa(epochThreads) {
		t.Errorf("kernel_epochs has blocks of %q threads, %d here", m, epochThreads)
	}
}

// Whatever launches need, a table holds it, and no number is computed twice while
// launches go on from where the ones before ended.
func TestFactors(t *testing.T) {
	const perEpoch, epochs = 10, 9
	for _, s := range []kernels.Schedule{
		{Name: "cosine", Warmup: 1.5}, {Name: "step", StepEpochs: 2, Gamma: 0.3, Warmup: 1}, {Name: "constant"},
	} {
		key := factorsKeyOf(&kernels.Variant{Schedule: s, Epochs: epochs}, perEpoch)
		f := newFactors(key)
		waits := math.MaxInt // where a network stands that a launch leaves out
		need := func(stretches ...[2]int) (computed int) {
			f.begin()
			f.keep(waits)
			for _, n := range stretches {
				f.need(n[0], n[1])
			}
			computed = f.fill()
			for _, n := range stretches {
				for step := n[0]; step < n[0]+n[1]; step++ {
					if step < f.warmup {
						continue
					}
					k := (step-f.warmup)/f.hold - f.first
					if k < 0 || k >= len(f.needed()) {
						t.Fatalf("%s: the table of %d lacks step %d", s.Name, len(f.needed()), step)
					}
					if got, want := f.needed()[k], s.Factor(step-f.warmup, perEpoch, epochs); got != want {
						t.Errorf("%s: step %d has the factor %g, want %g", s.Name, step, got, want)
					}
				}
			}
			return computed
		}
		total := need([2]int{0, 5}) + need([2]int{5, 12}, [2]int{9, 4}) + need([2]int{17, 30}) + need([2]int{40, 9}, [2]int{47, 60})
		distinct := map[int]bool{}
		for step := f.warmup; step < 107; step++ {
			distinct[(step-f.warmup)/f.hold] = true
		}
		if total != len(distinct) {
			t.Errorf("%s: %d numbers were computed, want %d", s.Name, total, len(distinct))
		}
		f, waits = newFactors(key), 0
		if n := need([2]int{0, 107}) + need([2]int{100, 7}) + need([2]int{0, 107}); n != len(distinct) {
			t.Errorf("%s: %d numbers were computed where a network waits for a launch, want %d", s.Name, n, len(distinct))
		}
		waits = math.MaxInt
		need([2]int{3, 20}) // one that was left behind
		need()
		if f.needed() != nil {
			t.Errorf("%s: nothing needs %d numbers", s.Name, len(f.needed()))
		}
		need([2]int{500, 3}) // far ahead
	}
}

// Networks that differ in the peak learning rate alone share a table.
func TestFactorsKey(t *testing.T) {
	v := kernels.Variant{Schedule: kernels.Schedule{Name: "cosine", LR: 0.1, Warmup: 1}, Epochs: 3}
	w := v
	w.Schedule.LR = 0.2
	if factorsKeyOf(&v, 10) != factorsKeyOf(&w, 10) {
		t.Error("the learning rate is in the key")
	}
	w.Schedule.Warmup = 2
	if factorsKeyOf(&v, 10) == factorsKeyOf(&w, 10) || factorsKeyOf(&v, 10) == factorsKeyOf(&v, 11) {
		t.Error("warm-up or steps per epoch are not in the key")
	}
}
