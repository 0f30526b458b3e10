//go:build gpu && !cpu && linux && amd64 && cgo

package cuda

import (
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
// kernel, and takes what that takes.
func TestCyclesOfAugmented(t *testing.T) {
	resident := conformance.Variant(chain(t, ir.Sigmoid, graph.CrossEntropy, 784, 16, 16, 10), 32)
	moved, turned, noisy := resident, resident, resident
	moved.Shift, turned.Rotate, noisy.NoiseShare = 1, 10, 0.1
	e := newPrecise(t, FP32).(*executor)
	generic := genericAlone * stepWork(&resident, 32)
	for _, c := range []struct {
		v       kernels.Variant
		generic bool
	}{{resident, false}, {moved, false}, {turned, true}, {noisy, true}} {
		alone, shared, err := e.Cycles(c.v)
		if err != nil || (alone == generic) != c.generic || shared > alone {
			t.Errorf("%+v, %g share of noise: %g cycles alone, %g shared, %v; the generic kernel: %g", c.v.Augment, c.v.NoiseShare, alone, shared, err, generic)
		}
		q := prepare(t, e, conformance.Data(c.v.Program(), 40), c.v).(*population)
		if got := q.nets[0].class.resident(); got == c.generic {
			t.Errorf("%+v, %g share of noise: its class is %s", c.v.Augment, c.v.NoiseShare, q.nets[0].class)
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
